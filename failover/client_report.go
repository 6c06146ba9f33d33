package failover

import (
	"fmt"
	"strings"
	"time"
)

// ClientReport is a client's part of a switch.
type ClientReport struct {
	Scope  string `json:"scope"`
	Switch string `json:"switch"`
	// From is the cluster that the client left, To the one that it is on; the same where the switch
	// was given up.
	From  string `json:"from"`
	To    string `json:"to"`
	Epoch int64  `json:"epoch"`
	// Closed is when the client saw that From is left, Opened that To is active, Ready when its
	// records go on.
	Closed time.Time `json:"closed"`
	Opened time.Time `json:"opened"`
	Ready  time.Time `json:"ready"`
	// FirstAckMillis is from Closed to the first ack afterwards; -1: none yet.
	FirstAckMillis int64 `json:"first_ack_ms"`
	// InDoubt records had no ack. Found of them were on To; Resent, Dropped and HandedBack are the
	// rest, by policy. Aborted were of a transaction.
	InDoubt    int64 `json:"in_doubt"`
	Found      int64 `json:"found"`
	Resent     int64 `json:"resent"`
	Dropped    int64 `json:"dropped"`
	HandedBack int64 `json:"handed_back"`
	Aborted    int64 `json:"aborted"`
	// Unsearched records could not be looked for on To, since their partitions can't be read:
	// InDoubt and acked ones, which were treated as those that aren't there. UnsearchedPartitions
	// names a hundred of the partitions, each with the reason.
	Unsearched           int64    `json:"unsearched"`
	UnsearchedPartitions []string `json:"unsearched_partitions,omitempty"`
	// Of the records that were acked and not confirmed: Covered were on To, Replayed weren't and
	// were produced there. LetGo were let go before, because the buffer was full: whether they are
	// on To isn't known.
	Covered  int64 `json:"covered"`
	Replayed int64 `json:"replayed"`
	LetGo    int64 `json:"let_go"`
	// Redelivered records were polled again on To that the client had polled on From, since they
	// weren't committed there: in [Client.Status] it grows until its consumer has passed where it
	// was. Those that another member of the group had polled aren't counted, nor any where nothing
	// says which offset of To a position on From is.
	Redelivered int64 `json:"redelivered"`
}

// String is the report on one line.
func (r ClientReport) String() string {
	s := fmt.Sprintf("%s: %s to %s in epoch %d, ready after %v: %d in doubt (%d found, %d resent, %d dropped, %d handed back, %d aborted), %d covered, %d replayed, %d let go, %d delivered again",
		r.Scope, r.From, r.To, r.Epoch, r.Ready.Sub(r.Closed).Round(time.Millisecond), r.InDoubt, r.Found, r.Resent, r.Dropped, r.HandedBack, r.Aborted, r.Covered, r.Replayed, r.LetGo, r.Redelivered)
	if r.Unsearched > 0 {
		s += fmt.Sprintf("; %d could not be looked for (%s)", r.Unsearched, strings.Join(r.UnsearchedPartitions, "; "))
	}
	return s
}
