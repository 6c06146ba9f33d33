package register

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Epoch says who is active in a scope, from its number on until the next one exists. It is written once.
//
// A switch takes two epochs. The first closes: Active is empty, and nobody writes to any cluster until there is another. The second opens: Active is the cluster that the
// switch went to, or the one that it came from where it was given up, and Forks says where its logs ended before anybody wrote there.
type Epoch struct {
	// Scope is what the epoch is about: an application, a set of topics, a region. See [CheckScope].
	Scope string `json:"scope"`
	// Number counts from 1, without gaps.
	Number int64 `json:"number"`
	// Active is the name of the active cluster, empty while a switch is under way.
	Active string `json:"active,omitempty"`
	// ActiveID is its cluster ID, where that is known.
	ActiveID string `json:"active_id,omitempty"`
	// From is the cluster that was active before the switch, Target the one that it goes to. Both are empty in a scope's first epoch.
	From   string `json:"from,omitempty"`
	Target string `json:"target,omitempty"`
	// Switch names the switch: the same in its two epochs, and in no other.
	Switch string `json:"switch,omitempty"`
	// Planned says that the cluster that was active before was alive and drained.
	Planned bool `json:"planned,omitempty"`
	// By is who wrote the epoch, Reason why, for people. Neither holds secrets.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// At is when it was written, by the writer's clock: information, nothing is decided by it.
	At time.Time `json:"at"`
	// Forks are where the logs of the cluster that has become active ended, of an opening epoch. From there on the same offset is another record on the cluster that was active before. Sorted by topic and partition.
	Forks []Fork `json:"forks,omitempty"`
}

// Closing says that a switch is under way.
func (e *Epoch) Closing() bool { return e.Number > 0 && e.Active == "" }

// Fork returns where a partition forked at this epoch; false where that isn't noted.
func (e *Epoch) Fork(topic string, partition int32) (int64, bool) {
	for _, f := range e.Forks { // TODO(register): binary search
		if f.Topic == topic && f.Partition == partition {
			return f.Offset, true
		}
	}
	return 0, false
}

// Fork is an offset of a partition: below it both clusters have the same records, of an exact copy.
type Fork struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Register holds epochs, each written once. Implementations are safe for concurrent use, by processes as well, and linearizable: once Create has
// returned nil, or Get an epoch, every Get that begins afterwards returns it. That is all that a register has to guarantee; package registertest tests it.
type Register interface {
	// Get returns an epoch, or an error that matches [ErrNoEpoch] where it certainly isn't there.
	Get(ctx context.Context, scope string, number int64) (Epoch, error)
	// Create writes an epoch where none of its number is; a *[ConflictError] holds the other one where one is. After any other error the epoch may be there or not, or come later.
	Create(ctx context.Context, e Epoch) error
}

// ErrNoEpoch says that there is no epoch of that number in that scope.
var ErrNoEpoch = errors.New("register: no such epoch")

// ConflictError says that somebody else has written the epoch.
type ConflictError struct {
	// Epoch is what is there.
	Epoch Epoch
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("register: epoch %d of %s is another's: %s", e.Epoch.Number, e.Epoch.Scope, e.Epoch.By)
}
