package control

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/topics"
)

// SwitchConfig is what a switch does, and may do. The zero value switches without a copy to look
// after: whoever has one sets Replication.
type SwitchConfig struct {
	// Topics are names, and regular expressions for whole names, of the scope's topics as the
	// active cluster calls them: the selection of [github.com/kafkadr/kafkadr/mirror.Config].
	// Default: all but those that are a cluster's own.
	Topics []string
	// Exclude are names, and regular expressions for whole names, of topics to leave out.
	Exclude []string
	// Rename gives the name that a topic of one cluster has on another. Default: the same.
	Rename func(from, to, topic string) string

	// Budget is how much a forced switch may lose. Default: it isn't asked.
	Budget *Budget
	// Replication is the copy between the clusters. Default none; then there are no planned
	// switches.
	Replication Replication
	// Fence keeps producers off the old cluster. Default none: the lease alone does.
	Fence Fencer
	// Refill copies what an archive has. Default none.
	Refill Refiller
	// Offsets takes care of groups. Default: they are as the mirror left them.
	Offsets OffsetCarrier
	// Rights gives write rights. Default none.
	Rights Rights
	// Tail keeps what a cluster has beyond the fork at which it was left, before it becomes active
	// again.
	Tail TailSaver
	// IgnoreTail goes back to such a cluster without that. Default: without Tail, that is a
	// conflict.
	IgnoreTail bool

	// Deadlines bound the steps.
	Deadlines Deadlines
}

// Deadlines bound the steps of a switch. 0 is the default.
type Deadlines struct {
	// Check is for looking at both clusters: 5 s.
	Check time.Duration
	// Tail is for the [TailSaver]: 10 min.
	Tail time.Duration
	// Close and Open are for writing an epoch: 5 s.
	Close, Open time.Duration
	// Fence is for the [Fencer]; it never takes longer than the lease: 5 s.
	Fence time.Duration
	// Drain is for the copy to get everything: 30 s.
	Drain time.Duration
	// Stop is for the copy to end: 10 s.
	Stop time.Duration
	// Refill is for the [Refiller]: 30 s.
	Refill time.Duration
	// Forks is for the end offsets: 5 s.
	Forks time.Duration
	// Offsets is for the [OffsetCarrier]: 30 s.
	Offsets time.Duration
	// Rights is for lifting a fence and [Rights]: 10 s.
	Rights time.Duration
	// GiveUp is for going back: 15 s.
	GiveUp time.Duration
}

func (d Deadlines) complete() (Deadlines, []error) {
	var errs []error
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"Check", &d.Check, 5 * time.Second}, {"Tail", &d.Tail, 10 * time.Minute}, {"Close", &d.Close, 5 * time.Second}, {"Open", &d.Open, 5 * time.Second},
		{"Fence", &d.Fence, 5 * time.Second}, {"Drain", &d.Drain, 30 * time.Second}, {"Stop", &d.Stop, 10 * time.Second}, {"Refill", &d.Refill, 30 * time.Second},
		{"Forks", &d.Forks, 5 * time.Second}, {"Offsets", &d.Offsets, 30 * time.Second}, {"Rights", &d.Rights, 10 * time.Second}, {"GiveUp", &d.GiveUp, 15 * time.Second},
	} {
		if *f.value < 0 {
			errs = append(errs, fmt.Errorf("%s of Deadlines is negative", f.name))
		}
		*f.value = cmp.Or(*f.value, f.def)
	}
	return d, errs
}

// longest is how long a switch may take from its closing epoch on, the wait for the lease included.
func (c *SwitchConfig) longest(lease time.Duration) time.Duration {
	d := c.Deadlines
	sum := d.Close + leaseWait(lease) + d.Forks + d.Open + d.GiveUp
	for _, s := range []struct {
		used bool
		d    time.Duration
	}{
		{c.Replication != nil, d.Drain + d.Stop + lagWait}, {c.Refill != nil, d.Refill}, {c.Offsets != nil, d.Offsets}, {c.Fence != nil || c.Rights != nil, d.Rights},
	} {
		if s.used {
			sum += s.d
		}
	}
	return sum
}

// leaseWait is how long nobody can be sure of the old epoch's end: the lease, and a thousandth for
// clocks that don't run alike.
func leaseWait(lease time.Duration) time.Duration { return lease + lease/1000 }

func (c SwitchConfig) complete() (SwitchConfig, []error) {
	var errs []error
	if _, err := topics.New(c.Topics, c.Exclude); err != nil {
		errs = append(errs, err)
	}
	if b := c.Budget; b != nil && (b.Records < 0 || b.Age < 0) {
		errs = append(errs, errors.New("Budget has a negative bound"))
	}
	if c.Budget != nil && c.Replication == nil && !c.Budget.AllowUnknown {
		errs = append(errs, errors.New("Budget needs a Replication, which knows the lag, or AllowUnknown"))
	}
	if c.Tail != nil && c.IgnoreTail {
		errs = append(errs, errors.New("IgnoreTail and Tail contradict each other"))
	}
	if c.Rename == nil {
		c.Rename = func(_, _, topic string) string { return topic }
	}
	d, more := c.Deadlines.complete()
	c.Deadlines = d
	return c, append(errs, more...)
}

// Takes returns what says whether a topic is one of the scope's, by Topics and Exclude, and by
// whether the cluster calls it internal. Expressions that can't be compiled take none:
// NewController says so.
func (c SwitchConfig) Takes() func(topic string, internal bool) bool {
	sel, err := topics.New(c.Topics, c.Exclude)
	return func(topic string, internal bool) bool { return err == nil && sel.Takes(topic, internal) }
}
