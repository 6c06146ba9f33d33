package standby

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// ErrMoved says that somebody else has written since the partition was looked at.
var ErrMoved = errors.New("the standby's log has grown since it was looked at")

// Side is what all copies have in common.
type Side struct {
	Cluster *rawkafka.Cluster
	Copier  *exactcopy.Copier
	Locks   Locks
}

// Copy is a partition's copy. One goroutine at a time opens it, fills it and appends to it; the
// other methods may be called by anybody.
type Copy struct {
	side  *Side
	claim *Claim
	dst   rawkafka.Partition

	tracker   batch.AbortTracker // who appends has it
	confirmed int                // one more than the life of the claim under which the copy was where we were; who appends has it

	mu sync.Mutex
	to *exactcopy.Partition // nil: it isn't open
	// position is how far the copy has got, durable how far it is durable; -1: that isn't known.
	position, durable int64
	handed            []handed // to the copier, and not known to be durable yet, in order
	counted           int64    // up to where records and bytes count what is durable
	records, bytes    int64
}

// handed is a batch that was given to the copier.
type handed struct{ end, records, bytes int64 }

// New is the copy of a partition. A side and claim that are nil are enough for one that isn't
// opened.
func New(side *Side, claim *Claim, dst rawkafka.Partition) *Copy {
	return &Copy{side: side, claim: claim, dst: dst, position: -1, durable: -1}
}

// Begin says how far the copy has got, as a look has found it: from there on it is appended to.
// What was handed over beyond is to be handed over again. grown: it has got further than was known.
func (c *Copy) Begin(position, durable int64) (grown bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	grown = position > c.position
	c.position, c.durable = position, durable
	c.count()
	c.handed = slices.DeleteFunc(c.handed, func(h handed) bool { return h.end > position })
	c.tracker = batch.AbortTracker{}
	return grown
}

// FoundAt says how far the copy has got, where nothing is appended to it for now.
func (c *Copy) FoundAt(position int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.position = position
}

// FoundDurable says how far the copy is durable.
func (c *Copy) FoundDurable(durable int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = durable
}

// Settle takes in the copy's high watermark.
func (c *Copy) Settle(watermark int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = max(c.durable, min(watermark, c.position))
	c.count()
}

// Reached takes in how far the copier has got. grown: further than was known.
func (c *Copy) Reached() (grown bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to == nil {
		c.count()
		return false
	}
	end, durable := c.to.Reached()
	grown = end > c.position
	c.position, c.durable = max(c.position, end), max(c.durable, durable)
	c.count()
	return grown
}

// Position is how far the copy had got when that was last taken in, Durable how far it was durable;
// -1: that isn't known.
func (c *Copy) Position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// Durable is how far the copy was durable.
func (c *Copy) Durable() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.durable
}

// Count is what has become durable by this process: visible records, and the bytes of batches.
func (c *Copy) Count() (records, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records, c.bytes
}

// count takes in what has become durable, each batch once, however often it was handed over; c.mu
// is held.
func (c *Copy) count() {
	n := 0
	for ; n < len(c.handed) && c.handed[n].end <= c.durable; n++ {
		if h := c.handed[n]; h.end > c.counted {
			c.records, c.bytes, c.counted = c.records+h.records, c.bytes+h.bytes, h.end
		}
	}
	if c.handed = c.handed[n:]; len(c.handed) == 0 {
		c.handed = nil
	}
}

// open is the copier's partition; nil: it isn't open.
func (c *Copy) open() *exactcopy.Partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to
}

// IsOpen says that the copy is open.
func (c *Copy) IsOpen() bool { return c.open() != nil }

// Open opens the copy, where it isn't, to append at a position: [ErrMoved] where it doesn't end
// there. fresh says that there can't be markers under way.
func (c *Copy) Open(ctx context.Context, position int64, fresh bool) error {
	if c.IsOpen() {
		return nil
	}
	to, err := c.side.Copier.Open(ctx, c.dst)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if fresh {
		to.Settled()
	}
	c.mu.Lock()
	c.to = to
	c.mu.Unlock()
	if to.Position() != position {
		return ErrMoved
	}
	return nil
}

// Close closes the copy, where it is open: what is under way is waited for.
func (c *Copy) Close() {
	c.mu.Lock()
	to := c.to
	c.to = nil
	c.mu.Unlock()
	if to != nil {
		to.Close()
	}
}

// Fill fills a copy up to where the source's log starts, and deletes the filler.
func (c *Copy) Fill(ctx context.Context, start int64) error {
	to := c.open()
	if n := start - to.Position(); n > 0 {
		if err := to.Fill(ctx, n); err != nil {
			return err
		}
		if err := to.Flush(ctx, true); err != nil {
			return err
		}
	}
	return c.side.Cluster.DeleteBefore(ctx, c.dst, start)
}

// Flush waits until what was handed over is appended, or durable.
func (c *Copy) Flush(ctx context.Context, durable bool) error {
	if to := c.open(); to != nil {
		return to.Flush(ctx, durable)
	}
	return nil
}

// Flushed says that all is appended that was handed over.
func (c *Copy) Flushed() bool {
	to := c.open()
	if to == nil {
		return true
	}
	end, _ := to.Reached()
	return end == to.Position()
}

// Chunk is a part of the source's log, whole: what has no record in it is a hole.
type Chunk struct {
	// Raw are the batches. They are the Copy's from now on.
	Raw []byte
	// Aborted are the aborted transactions that overlap them.
	Aborted []batch.AbortedTxn
	// End is where the chunk ends. More says that the log goes on behind: a hole at the end is left
	// to the next chunk, since it may go on there.
	End  int64
	More bool
	// MaxBatch is the longest batch that the standby takes; 0: any.
	MaxBatch int
}

// Append hands a chunk over. until is the end of the last batch of it; 0: it has none.
func (c *Copy) Append(ctx context.Context, chunk Chunk) (until int64, err error) {
	to := c.open()
	c.tracker.Add(chunk.Aborted...)
	from := to.Position()
	if from > chunk.End {
		return 0, fmt.Errorf("the standby is at %d, what was read ends at %d", from, chunk.End)
	}
	ops := copyops.New(NewBatches(chunk.Raw, &c.tracker), copyops.Filter{MaxBatch: chunk.MaxBatch}, from, chunk.End)
	defer ops.Close()
	var given []handed
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.handed = append(c.handed, given...)
	}()
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return until, nil
		}
		if err != nil {
			return until, fmt.Errorf("read: %w", err)
		}
		if o.Hole() && o.End == chunk.End && chunk.More {
			return until, nil
		}
		h := handed{end: o.End, records: o.Records, bytes: int64(o.Batch.Len())} // Give changes the batch
		if err := c.do(ctx, to, o); err != nil {
			return until, err
		}
		if h.bytes > 0 {
			given = append(given, h)
			until = h.end
		}
	}
}

// do gives an operation to the copier.
func (c *Copy) do(ctx context.Context, to *exactcopy.Partition, o copyops.Op) error {
	switch {
	case o.Hole():
		if err := c.guard(ctx, to); err != nil {
			return err
		}
		return to.Hole(ctx, o.End-o.Base)
	case o.Whole:
		return to.Give(ctx, o.Batch)
	}
	return to.Append(ctx, o.Batch)
}

// guard returns when a hole may be made.
func (c *Copy) guard(ctx context.Context, to *exactcopy.Partition) error {
	life, err := c.claim.Hold(ctx)
	if err != nil {
		return err
	}
	if err := c.side.Locks.Held(ctx, c.dst.TopicID); err != nil {
		return err
	}
	if c.confirmed == life+1 {
		return nil
	}
	return c.confirm(ctx, to, life)
}

// confirm looks, once the topic was claimed, whether whoever made its holes before has got further
// than we have.
func (c *Copy) confirm(ctx context.Context, to *exactcopy.Partition, life int) error {
	if err := to.Flush(ctx, true); err != nil {
		return err
	}
	got, err := c.side.Cluster.ListOffsets(ctx, []rawkafka.Partition{c.dst}, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err == nil {
		err = got[c.dst].Err
	}
	if err != nil {
		return err
	}
	c.confirmed = life + 1
	if got[c.dst].Offset != to.Position() {
		return ErrMoved
	}
	return nil
}
