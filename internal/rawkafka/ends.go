package rawkafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Ends are where a partition's log ends.
type Ends struct {
	// End is the leader's true log end, Watermark the high watermark: at most End.
	End, Watermark int64
	// CurrentEpoch is the epoch of the leader that answered both.
	CurrentEpoch int32
	Err          error
}

// ErrTwoLeaders says that a partition's log end and its high watermark were answered by two
// leaders, again and again. It is [Retriable].
var ErrTwoLeaders = fmt.Errorf("rawkafka: the log's end and its high watermark are of two leaders: %w", kerr.UnknownServerError)

// endsTries is how often ends of two leaders are asked for again, in some 2 s.
const endsTries = 8

// Ends asks the leaders for the high watermarks and, behind that, for the true ends, which may have
// grown meanwhile. Both are of one leader in one epoch: a watermark above the end is of a leader
// that replaced the one that told the end, and is asked for again. Else it is like
// [Cluster.ListOffsets].
func (c *Cluster) Ends(ctx context.Context, ps []Partition) (map[Partition]Ends, error) {
	all := make(map[Partition]Ends, len(ps))
	for try := 1; len(ps) > 0; try++ {
		highs, err := c.ListOffsets(ctx, ps, Latest, ReadUncommitted, Consumer)
		if err != nil {
			return nil, err
		}
		ends, err := c.ListOffsets(ctx, ps, Latest, ReadUncommitted, Debug)
		if err != nil {
			return nil, err
		}
		var again []Partition
		for _, p := range ps {
			all[p] = endsOf(ends[p], highs[p])
			if errors.Is(all[p].Err, ErrTwoLeaders) {
				c.Forget(p)
				again = append(again, p)
			}
		}
		if ps = again; len(ps) == 0 || try == endsTries {
			break
		}
		c.retrying("list offsets", ErrTwoLeaders)
		if err := Sleep(ctx, Eager(try)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func endsOf(end, high Offset) Ends {
	e := Ends{End: end.Offset, Watermark: high.Offset, CurrentEpoch: high.CurrentEpoch, Err: end.Err}
	switch {
	case e.Err != nil:
	case high.Err != nil:
		e.Err = high.Err
	case high.Offset > end.Offset, high.CurrentEpoch != end.CurrentEpoch:
		e.Err = ErrTwoLeaders
	}
	return e
}
