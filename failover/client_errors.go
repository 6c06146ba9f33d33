package failover

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Errors that callers act on.
var (
	// ErrFenced: the client couldn't confirm within its lease that its cluster is still the active
	// one, and sends nothing more until it can.
	ErrFenced = errors.New("failover: fenced: the lease is over")
	// ErrSwitching: a switch is under way, and no cluster is active; or one is, and can't be used
	// yet.
	ErrSwitching = errors.New("failover: a switch is under way")
	// ErrEpochEnded: what was begun on one cluster can't be ended on another: a transaction, a call
	// of [Client.Do].
	ErrEpochEnded = errors.New("failover: the epoch has ended")
	// ErrInDoubt: nobody knows whether the record was written. At a switch it isn't on the cluster
	// that is active now. Where its context has ended while kgo had it, which the error matches
	// too, it may still be written.
	ErrInDoubt = errors.New("failover: in doubt: it may have been written")
)

// InDoubtError is what a promise gets for a record that the policy hands back.
type InDoubtError struct {
	// Record is as it was given to Produce.
	Record *kgo.Record
	// From is the cluster that it was sent to, Epoch the one that has ended there.
	From  string
	Epoch int64
}

func (e *InDoubtError) Error() string {
	return fmt.Sprintf("failover: %s: sent to %s in epoch %d, never acked: %v", e.Record.Topic, e.From, e.Epoch, ErrInDoubt)
}

// Unwrap is [ErrInDoubt].
func (*InDoubtError) Unwrap() error { return ErrInDoubt }

// OldEpochError says that records were polled on a cluster that isn't active any more, and that
// their offsets mean something else on the one that is. Nothing was committed for them; the active
// cluster's own records come again from the group's committed offset there.
type OldEpochError struct {
	Records []*kgo.Record
}

func (e *OldEpochError) Error() string {
	if len(e.Records) == 0 {
		return "failover: records of an old epoch"
	}
	r := e.Records[0]
	return fmt.Sprintf("failover: %s/%d at %d and %d more records were polled before the switch, beyond what both clusters have in common", r.Topic, r.Partition, r.Offset, len(e.Records)-1)
}

// WrongClusterError says that another cluster answers than the one that is meant.
type WrongClusterError struct {
	Cluster, Want, Got string
}

func (e *WrongClusterError) Error() string {
	return fmt.Sprintf("failover: cluster %s has the ID %s, not %s", e.Cluster, e.Got, e.Want)
}
