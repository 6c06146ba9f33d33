package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

// sampleRecords is how many records of a run are compared.
const sampleRecords = 200

// translated compares what the target holds of a job with the archive: all, or the first records of
// 16 runs and the last ones. What the target's log start has passed isn't missed, nor what the
// cleaner of a compacted topic took.
func (c *comparer) translated(ctx context.Context, m *offsets.Map, all bool) (*Conflict, error) {
	if m == nil || m.Len() == 0 {
		return nil, nil
	}
	low, err := one(ctx, c.cluster, c.job.target(), rawkafka.Earliest, rawkafka.Consumer)
	if err != nil {
		return nil, c.job.wrap(m.UpstreamStart(), fmt.Errorf("target: log start offset: %w", err))
	}
	if all {
		return c.mapped(ctx, m, offsets.Run{Upstream: m.UpstreamStart(), Downstream: m.DownstreamStart(), Length: -1}, low)
	}
	for _, r := range samples(m) {
		if cf, err := c.mapped(ctx, m, r, low); cf != nil || err != nil {
			return cf, err
		}
	}
	return nil, nil
}

// samples are the beginnings of 16 evenly spread runs, and the ends of the last 3.
func samples(m *offsets.Map) []offsets.Run {
	var picked []offsets.Run
	n := m.Len()
	step := max(1, n/spreadBatches)
	i := 0
	for r := range m.Runs() {
		if i%step == 0 || i >= n-tailBatches {
			head := r
			head.Length = min(r.Length, sampleRecords)
			picked = append(picked, head)
			if cut := r.Length - sampleRecords; cut > 0 && i >= n-tailBatches {
				cut = max(cut, sampleRecords)
				picked = append(picked, offsets.Run{Upstream: r.Upstream + cut, Downstream: r.Downstream + cut, Length: r.Length - cut})
			}
			picked = append(picked, inside(r, n)...)
		}
		i++
	}
	return picked
}

// inside are further places of a run, where there are few runs.
func inside(r offsets.Run, runs int) []offsets.Run {
	var more []offsets.Run
	n := int64(spreadBatches / max(1, runs))
	for k := int64(1); k < n; k++ {
		at := r.Length / n * k
		if at >= sampleRecords && r.Length-at > sampleRecords {
			more = append(more, offsets.Run{Upstream: r.Upstream + at, Downstream: r.Downstream + at, Length: sampleRecords})
		}
	}
	return more
}

// mapped compares the records of a run with what the map says is their copy; a length of -1 is the
// whole map.
func (c *comparer) mapped(ctx context.Context, m *offsets.Map, r offsets.Run, low int64) (*Conflict, error) {
	up, down := r.Upstream+r.Length, r.Downstream+r.Length
	if r.Length < 0 {
		up, down = m.UpstreamEnd(), m.DownstreamEnd()
	}
	from := max(r.Downstream, low)
	if from >= down {
		return nil, nil
	}
	src := c.snapshot.Cursor(ctx, c.job.state.Partition, c.job.state.History, r.Upstream, up, storage.CursorOptions{})
	defer src.Close()
	want := &pairing{rr: &recordReader{src: src, filter: c.job.filter, next: r.Upstream, end: up}, at: m.Translate, from: from}
	got := &pairing{rr: &recordReader{src: newTargetSource(ctx, c.cluster, c.job.target(), from, down), next: from, end: down}, at: m.Inverse}
	for {
		w, to, err := want.next()
		if err != nil {
			return nil, c.job.wrap(want.rr.next, fmt.Errorf("archive: %w", err))
		}
		if w == nil {
			return nil, nil
		}
		g, err := got.until(to)
		if err != nil {
			return nil, c.job.wrap(w.Offset, fmt.Errorf("target: %w", err))
		}
		if cf := c.pair(w, g, to); cf != nil {
			return cf, nil
		}
	}
}

// pair compares a record with its copy; nil: it isn't there.
func (c *comparer) pair(w, g *kgo.Record, to int64) *Conflict {
	var diff string
	switch {
	case g == nil && c.job.topic.compacts:
		return nil
	case g == nil:
		diff = "it isn't there any more"
	default:
		same := *g
		same.Offset = w.Offset
		if g.Attrs.TimestampType() == 1 { // the target stamps
			same.Timestamp = w.Timestamp
		}
		diff = differ(w, &same)
	}
	if diff == "" {
		return nil
	}
	cf := c.job.conflict(w.Offset, "foreign_records", "the copy at %d of the target: %s", to, diff)
	return &cf
}

// pairing reads the records of one side that the map knows.
type pairing struct {
	rr   *recordReader
	at   func(int64) (int64, offsets.How)
	from int64 // what maps below it is passed over
	held *kgo.Record
}

// next is the next record that the map knows, and its offset on the other side; nil at the end.
func (p *pairing) next() (*kgo.Record, int64, error) {
	for {
		r, err := p.rr.Next()
		if errors.Is(err, io.EOF) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if to, how := p.at(r.Offset); how == offsets.HowExact && to >= p.from {
			return r, to, nil
		}
	}
}

// until is the record at an offset of this side, or nil where there is none.
func (p *pairing) until(offset int64) (*kgo.Record, error) {
	for {
		if p.held == nil {
			r, _, err := p.next()
			if r == nil || err != nil {
				return nil, err
			}
			p.held = r
		}
		switch {
		case p.held.Offset > offset:
			return nil, nil
		case p.held.Offset == offset:
			r := p.held
			p.held = nil
			return r, nil
		}
		p.held = nil
	}
}
