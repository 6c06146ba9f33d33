package storage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// CursorOptions bound a Cursor.
type CursorOptions struct {
	// ReadAhead is how many reads are made before they are asked for; a read is one frame, or
	// following frames of up to 1 MiB together, of several runs where these are small. Each is in
	// memory, and one more. Default 1; negative: none, and no goroutine.
	ReadAhead int
	// Skip says of a run that it is passed over, as if the history had none for its offsets. Runs
	// that a damaged manifest lost are asked about as one, as [LostRuns] has them. Default: none.
	Skip func(Run) bool
}

// Cursor reads one partition's history in offset order, frame by frame. Not safe for concurrent
// use.
type Cursor struct {
	from, end int64
	tracker   batch.AbortTracker
	next      func() (*chunk, error)
	stop      func()
	chunk     *chunk
	position  int64
	err       error
}

// Cursor starts reading at the batch that holds from, or the first one behind it, and ends before
// end. Close it when done.
func (s *Snapshot) Cursor(ctx context.Context, p segment.Partition, history int32, from, end int64, o CursorOptions) *Cursor {
	ctx, cancel := context.WithCancel(ctx)
	f := newFetcher(s, p, history, from, end)
	f.skip = o.Skip
	c := &Cursor{from: from, end: end, stop: cancel}
	c.next = func() (*chunk, error) { return f.next(ctx) }
	if o.ReadAhead == 0 {
		o.ReadAhead = 1
	}
	if o.ReadAhead > 0 {
		c.next, c.stop = ahead(ctx, cancel, f, o.ReadAhead)
	}
	return c
}

// Next returns the next batch, whether it belongs to an aborted transaction, or io.EOF. The batch
// is valid until the next call. A batch can begin before from and end behind end. Damage is a
// *[DamageError]; no batch of a damaged frame is returned. Errors stay.
func (c *Cursor) Next() (b batch.Batch, aborted bool, err error) {
	for c.err == nil {
		if c.chunk == nil || len(c.chunk.raw) == 0 {
			c.advance()
			continue
		}
		b, aborted, err := c.batch()
		if err != nil {
			c.err = err
			break
		}
		if b.EndOffset() <= c.from {
			continue
		}
		if b.BaseOffset() >= c.end {
			c.err = io.EOF
			break
		}
		return b, aborted, nil
	}
	return batch.Batch{}, false, c.err
}

// advance takes the next frame.
func (c *Cursor) advance() {
	if c.chunk != nil {
		c.chunk.release()
	}
	if c.chunk, c.err = c.next(); c.err != nil {
		c.chunk = nil
		return
	}
	c.tracker.Add(c.chunk.aborted...)
}

// batch splits the next batch off. Frames are as their digests say; what a hostile archive may
// still have wrong is found here.
func (c *Cursor) batch() (batch.Batch, bool, error) {
	b, rest, err := batch.Split(c.chunk.raw)
	if err != nil {
		return b, false, c.chunk.damage(err)
	}
	if b.BaseOffset() < max(c.position, c.chunk.base) || b.EndOffset() > c.chunk.end {
		return b, false, c.chunk.damage(fmt.Errorf("a batch from %d to %d is out of place", b.BaseOffset(), b.EndOffset()))
	}
	c.chunk.raw, c.position = rest, b.EndOffset()
	return b, c.tracker.Aborted(b), nil
}

// Close releases what the cursor holds.
func (c *Cursor) Close() {
	c.stop()
	c.chunk = nil
	if c.err == nil {
		c.err = errors.New("storage: the cursor is closed")
	}
}

// ahead reads in a goroutine that ends with the context.
func ahead(ctx context.Context, cancel func(), f *fetcher, depth int) (next func() (*chunk, error), stop func()) {
	type result struct {
		c   *chunk
		err error
	}
	// One is held by the goroutine until it is taken, so the channel holds the others.
	results, done := make(chan result, depth-1), make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := f.next(ctx)
			select {
			case results <- result{c, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	next = func() (*chunk, error) {
		select {
		case r := <-results:
			return r.c, r.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return next, func() { cancel(); <-done }
}
