package register

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Epoch says who is active in a scope, from its number on until the next one exists. It is written
// once.
//
// A switch takes two epochs. The first closes: Active is empty, and nobody writes to any cluster
// until there is another. The second opens: Active is the cluster that the switch went to, or the
// one that it came from where it was given up, and Forks says where its logs ended before anybody
// wrote there.
type Epoch struct {
	// Scope is what the epoch is about: an application, a set of topics, a region. See
	// [CheckScope].
	Scope string `json:"scope"`
	// Number counts from 1, without gaps.
	Number int64 `json:"number"`
	// Active is the name of the active cluster, empty while a switch is under way.
	Active string `json:"active,omitempty"`
	// ActiveID is its cluster ID, where that is known.
	ActiveID string `json:"active_id,omitempty"`
	// From is the cluster that was active before the switch, Target the one that it goes to. Both
	// are empty in a scope's first epoch.
	From   string `json:"from,omitempty"`
	Target string `json:"target,omitempty"`
	// Switch names the switch: the same in its two epochs, and in no other.
	Switch string `json:"switch,omitempty"`
	// Lease is how long a client may write in the epoch after it has confirmed it, in a closing one
	// how long the switch waits for that: the longer one of the last two in which a cluster was
	// active. It is for all clients of the scope, whatever they are configured with. 0: what each
	// is configured with.
	Lease time.Duration `json:"lease_ns,omitempty"`
	// Clusters are the scope's, sorted by name, whatever controllers and clients are configured
	// with. Empty: not noted yet.
	Clusters []Member `json:"clusters,omitempty"`
	// Stays says that the switch goes nowhere: it changes the scope's values, and comes back to
	// From. See [Change].
	Stays bool `json:"stays,omitempty"`
	// Planned says that the cluster that was active before was alive and drained.
	Planned bool `json:"planned,omitempty"`
	// By is who wrote the epoch, Reason why, for people. Neither holds secrets.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// At is when it was written, by the writer's clock: information, nothing is decided by it.
	At time.Time `json:"at"`
	// Forks are where the logs of the cluster that has become active ended, of an opening epoch.
	// From there on the same offset is another record on the cluster that was active before. Sorted
	// by topic and partition.
	Forks []Fork `json:"forks,omitempty"`
}

// Closing says that a switch is under way.
func (e *Epoch) Closing() bool { return e.Number > 0 && e.Active == "" }

// Fork returns where a partition forked at this epoch; false where that isn't noted. It searches:
// Forks must be sorted, as those of every register are.
func (e *Epoch) Fork(topic string, partition int32) (int64, bool) {
	at, ok := slices.BinarySearchFunc(e.Forks, Fork{Topic: topic, Partition: partition}, compareForks)
	if !ok {
		return 0, false
	}
	return e.Forks[at].Offset, true
}

// Member is a cluster of a scope.
type Member struct {
	Name string `json:"name"`
	// ID is its cluster ID, empty until it is known.
	ID string `json:"id,omitempty"`
}

// ID is the cluster ID of one of the scope's clusters, empty where the epoch doesn't say it.
func (e *Epoch) ID(cluster string) string {
	if cluster == e.Active && e.ActiveID != "" {
		return e.ActiveID
	}
	for _, m := range e.Clusters {
		if m.Name == cluster {
			return m.ID
		}
	}
	return ""
}

// Has says whether a cluster is one of the scope's, as far as the epoch says which those are.
func (e *Epoch) Has(cluster string) bool {
	return len(e.Clusters) == 0 || slices.ContainsFunc(e.Clusters, func(m Member) bool { return m.Name == cluster })
}

// Equal says whether two epochs are the same in everything; times are compared as instants.
func (e Epoch) Equal(o Epoch) bool {
	return e.Scope == o.Scope && e.Number == o.Number && e.Active == o.Active && e.ActiveID == o.ActiveID && e.From == o.From && e.Target == o.Target &&
		e.Switch == o.Switch && e.Lease == o.Lease && e.Planned == o.Planned && e.By == o.By && e.Reason == o.Reason && e.At.Equal(o.At) && slices.Equal(e.Forks, o.Forks) &&
		slices.Equal(e.Clusters, o.Clusters) && e.Stays == o.Stays
}

// Fork is an offset of a partition: below it both clusters have the same records, of an exact copy.
type Fork struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// compareForks orders by topic and partition.
func compareForks(x, y Fork) int {
	return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
}

// SortForks sorts by topic and partition, as an epoch's have to be.
func SortForks(fs []Fork) { slices.SortFunc(fs, compareForks) }

// Lister is a [Register] that knows which scopes it has. It is never in the way of anything: what
// it says is for people.
type Lister interface {
	// Scopes are the names of scopes that have an epoch, sorted: a thousand at most, and perhaps
	// those of registers beside this one in the same store, which are named with their prefixes.
	Scopes(ctx context.Context) ([]string, error)
}

// Register holds epochs, each written once. Implementations are safe for concurrent use, by
// processes as well, and linearizable: once Create has returned nil, or Get an epoch, every Get
// that begins afterwards returns it. That is all that a register has to guarantee; package
// registertest tests it. Both return within their context, and never change or keep the epochs that
// they are given.
type Register interface {
	// Get returns an epoch, or an error that matches [ErrNoEpoch] where it certainly isn't there.
	Get(ctx context.Context, scope string, number int64) (Epoch, error)
	// Create writes an epoch where none of its number is; a *[ConflictError] holds the other one
	// where one is. One that is equal in everything is no conflict, so a Create may be repeated.
	// After any other error the epoch may be there or not, or come later. An epoch that can't be
	// written ([Encode]) is refused with an *[InvalidError].
	Create(ctx context.Context, e Epoch) error
}
