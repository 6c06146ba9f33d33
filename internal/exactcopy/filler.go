package exactcopy

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// fillerRecords is the most a filler batch holds: 0.8 MB, within a default max.message.bytes, and
// about 0.2 s of a broker's time.
const fillerRecords = 1_000_000

// filler holds the prebuilt batches, by number of records.
type filler struct {
	mu      sync.Mutex
	batches map[int]batch.Batch
}

// batch returns a batch of n empty records without timestamps: they must not be found by a search
// by time. Full ones are kept.
func (f *filler) batch(n int) (batch.Batch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.batches[n]; ok {
		return b, nil
	}
	raw, err := fillerBatch(n)
	if err != nil {
		return batch.Batch{}, err
	}
	b, err := batch.Parse(raw)
	if err == nil && n&(n-1) == 0 || n == fillerRecords {
		if f.batches == nil {
			f.batches = make(map[int]batch.Batch)
		}
		f.batches[n] = b
	}
	return b, err
}

// Fill appends n empty records as filler, for DeleteRecords to remove: consumers see them until
// then. Done when it returns. Not for a topic with cleanup.policy compact, which refuses records
// without a key.
func (p *Partition) Fill(ctx context.Context, n int64) error {
	if err := p.Flush(ctx, false); err != nil {
		return err
	}
	target := p.Position() + n
	for size := int64(fillerRecords); p.Position() < target; {
		b, err := p.c.filler.batch(int(min(size, target-p.Position())))
		if err == nil {
			err = p.fill(ctx, b)
		}
		if tooLarge(err) && size > 1 { // for max.message.bytes, or for segment.bytes
			size /= 2
			p.revive(b)
			continue
		}
		if err != nil {
			return at(p.name, p.Position(), "fill", err)
		}
	}
	return p.Flush(ctx, false)
}

// fill appends one batch of filler and waits for it.
func (p *Partition) fill(ctx context.Context, b batch.Batch) error {
	position := p.Position()
	if err := p.room(ctx, b.Len()); err != nil {
		return err
	}
	buf := b.ForProduce(p.c.bufs.get(b.Len()), p.prod.pid(), p.prod.epoch, p.prod.sequence)
	p.push(&item{buf: buf, base: position, end: position + int64(b.Records())})
	return p.Flush(ctx, false)
}

// revive takes the refused batch b back: it was decisively not appended.
func (p *Partition) revive(b batch.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prod.retreat(int64(b.Records()))
	p.queue, p.queued, p.position, p.tries = nil, 0, p.end, 0
	if !p.closed {
		p.err = nil
	}
}

// fillerBatch builds a batch of n records with nothing in them.
func fillerBatch(n int) ([]byte, error) {
	slab, rs := make([]kgo.Record, n), make([]*kgo.Record, n)
	for i := range rs {
		slab[i].Timestamp = time.UnixMilli(-1)
		rs[i] = &slab[i]
	}
	return batch.Append(nil, 0, kgo.ZstdCompression(), rs...)
}
