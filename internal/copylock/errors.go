package copylock

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Errors that callers act on.
var (
	// ErrTakenOver: a later claim of the topic was found. Its holder goes on with the topic.
	ErrTakenOver = errors.New("another process took the topic over")
	// ErrNotClaimed: Held was asked about a topic that wasn't claimed.
	ErrNotClaimed = errors.New("the topic isn't claimed")
)

// DeniedError says that topics can't be locked: the right to their transactional ids is missing, or
// the target doesn't know the requests (InitProducerId, DescribeTransactions). They count as held.
type DeniedError struct {
	// Topics are the IDs of those topics.
	Topics []kadm.TopicID
	// Err is the broker's answer.
	Err error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("transactional id %s and %d more: %v", transactionalID(e.Topics[0]), len(e.Topics)-1, e.Err)
}

// Unwrap is the broker's answer.
func (e *DeniedError) Unwrap() error { return e.Err }
