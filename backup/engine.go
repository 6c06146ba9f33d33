package backup

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// engine moves batches from a cluster into segments and commits them: what
// Run and Follower share. It is the sink of its reader, whose goroutines append; one segment is
// closed while the next fills; everything else is done by the goroutine that
// calls its methods.
//
// e.mu is never held while the reader's methods or hooks are called.
type engine struct {
	cfg    Config
	hooks  *hooks
	c      *rawkafka.Cluster
	w      *storage.Writer
	reader *source.Loop

	// wake tells the main goroutine of failures and ends.
	wake chan struct{}
	// ctx is that of segments under way: it ends with the session.
	ctx context.Context //nolint:containedctx // a segment's upload outlives the call that began it

	started time.Time
	// partial marks flushes: they hold less than a cut.
	partial bool
	// patience is how long a partition that can't be looked at is no fault yet. A Run has none.
	patience time.Duration
	// catalog knows what has become of topics. It is the main goroutine's.
	catalog *source.Catalog

	mu sync.Mutex
	// moved is closed and replaced when something that is waited for happens.
	moved  chan struct{}
	parts  map[rawkafka.Partition]*part
	topics map[kadm.TopicID]*topic
	// dirty are partitions whose now isn't in a segment that is closing;
	// uncommitted those whose durable isn't committed.
	dirty, uncommitted map[*part]struct{}
	open, closing      *filling
	draining           bool
	closed             []*storage.Closed
	// broken is the store's error: everything beyond durable is to be read again.
	broken   error
	failures []failure
	counts   counts
	last     commits
}

// commits are the last ones.
type commits struct{ full, any storage.Info }

// counts are since the start.
type counts struct {
	records, bytes, objects  int64
	holes, errors, truncated int64
	found                    []PartitionHole
	ended                    []*TruncatedError
}

// failure is a partition that the fetcher gave back.
type failure struct {
	*part
	err error
}

// filling is a segment under way.
type filling struct {
	seg            *storage.SegmentWriter
	states         map[*part]position
	records, bytes int64
}

// maxClosed is how many closed segments may wait for a commit: beyond that
// nothing is read. At half of it a commit is due.
const maxClosed = 64

func newEngine(ctx context.Context, cfg Config, c *rawkafka.Cluster, w *storage.Writer, h *hooks) *engine {
	e := &engine{
		cfg: cfg, hooks: h, c: c, w: w, ctx: ctx, started: time.Now(), catalog: source.New(goneAfter),
		wake: make(chan struct{}, 1), moved: make(chan struct{}),
		parts: make(map[rawkafka.Partition]*part), topics: make(map[kadm.TopicID]*topic),
		dirty: make(map[*part]struct{}), uncommitted: make(map[*part]struct{}),
	}
	fc := rawkafka.FetchConfig{MaxBytes: cfg.FetchBytes, Rack: cfg.Rack}
	if cfg.MaxBytesPerSecond > 0 {
		fc.Limiter = rate.NewLimiter(rate.Limit(cfg.MaxBytesPerSecond), int(min(cfg.MaxBytesPerSecond, 64<<20)))
	}
	e.reader = source.NewLoop(c, fc, e)
	return e
}

func (e *engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// tell wakes those who wait; e.mu is held.
func (e *engine) tell() {
	close(e.moved)
	e.moved = make(chan struct{})
}

// wait waits for tell, with e.mu given up meanwhile.
func (e *engine) wait(ctx context.Context) error {
	moved := e.moved
	e.mu.Unlock()
	defer e.mu.Lock()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Failed implements [source.Sink].
func (e *engine) Failed(p rawkafka.Partition, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.parts[p]; p != nil && p.Stage() == source.Reading {
		p.Turn(source.Break)
		e.failures = append(e.failures, failure{p, err})
		e.poke()
	}
}

// Arrived implements [source.Sink]. It waits while the store is behind.
func (e *engine) Arrived(ctx context.Context, f rawkafka.Fetched) (steer bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		p := e.parts[f.Partition]
		if p == nil {
			return false, nil
		}
		switch use := p.Use(f, p.now.offset); {
		case use == source.Stale:
			return false, nil
		case e.broken != nil:
		case use == source.Overtaken:
			return true, nil
		case e.room():
			e.append(p, f)
			return false, nil
		}
		if err := e.wait(ctx); err != nil {
			return false, err
		}
	}
}

// Wanted implements [source.Sink].
func (e *engine) Wanted(p rawkafka.Partition) source.Want {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.parts[p]; p != nil {
		return p.Want(p.from())
	}
	return source.Want{}
}

// room makes it so that there is a segment to append to, if one may be.
func (e *engine) room() bool {
	if e.open != nil && e.open.seg.Size() >= e.cfg.SegmentBytes {
		if e.closing != nil || e.draining {
			return false
		}
		e.roll()
	}
	return len(e.closed) < maxClosed
}

func (p *part) from() rawkafka.Position {
	return rawkafka.Position{Offset: p.now.offset, Until: p.cut, CurrentEpoch: p.epoch, LastEpoch: p.lastEpoch(), Log: p.topic.log}
}

// lastEpoch is for the broker to compare with: only where the last batch ends
// at the position does an epoch's end say something of it.
func (p *part) lastEpoch() int32 {
	if p.now.lastEnd != p.now.offset {
		return -1
	}
	return p.now.epoch
}

// append adds what came to the open segment; e.mu is held.
func (e *engine) append(p *part, f rawkafka.Fetched) {
	p.highWatermark, p.lastStable = max(f.HighWatermark, -1), max(f.LastStable, -1)
	if p.stable < 0 {
		p.logStart = max(p.logStart, f.LogStart)
	}
	var noted bool
	for b, err := range batch.All(f.Batches) {
		if err != nil {
			e.unreadable(p, err)
			return
		}
		if b.BaseOffset() >= p.cut {
			break
		}
		if b.EndOffset() <= p.now.offset {
			continue
		}
		if p.now.epoch >= 0 && b.BaseOffset() < p.now.lastEnd {
			e.unreadable(p, &batch.Error{BaseOffset: b.BaseOffset(), Reason: "begins before the end of the batch that is archived"})
			return
		}
		if b.BaseOffset() > p.now.offset {
			e.found(p, p.topic.gap(p.now.offset, b.BaseOffset()))
		}
		if err := e.put(p, b, f.Aborted, !noted); err != nil {
			e.breaks(err)
			return
		}
		noted = true
	}
	if end := min(f.VoidTo, p.cut); end > p.now.offset {
		e.found(p, p.topic.gap(p.now.offset, end))
	}
	if p.now.offset >= p.cut {
		p.Turn(source.End)
		e.poke()
	}
}

// put appends one batch, and first the aborted transactions that overlap what came.
func (e *engine) put(p *part, b batch.Batch, aborted []batch.AbortedTxn, note bool) error {
	if e.open == nil {
		seg, err := e.w.NewSegment(e.ctx)
		if err != nil {
			return err
		}
		e.open = &filling{seg: seg}
	}
	if note && len(aborted) > 0 {
		if err := e.open.seg.Aborted(p.key, aborted...); err != nil {
			return err
		}
	}
	if err := e.open.seg.Append(p.key, b); err != nil {
		return err
	}
	e.dirty[p] = struct{}{}
	e.open.records += int64(b.Records())
	e.open.bytes += int64(b.Len())
	p.now.first = min(p.now.first, b.BaseOffset())
	p.now.offset, p.now.lastEnd = b.EndOffset(), b.EndOffset()
	p.now.epoch = b.LeaderEpoch()
	return nil
}

// found notes a hole; e.mu is held.
func (e *engine) found(p *part, h storage.Hole) {
	p.now.hole(h)
	e.dirty[p] = struct{}{}
	e.counts.holes++
	if len(e.counts.found) < 10_000 {
		e.counts.found = append(e.counts.found, PartitionHole{Topic: p.Topic, Partition: p.Partition.Partition, Hole: h})
	}
}

func (e *engine) unreadable(p *part, err error) {
	p.Turn(source.Break)
	e.failures = append(e.failures, failure{p, err})
	e.poke()
}

// breaks notes a store error: the main goroutine rolls back. e.mu is held.
func (e *engine) breaks(err error) {
	if e.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		e.counts.errors++
	}
	if e.broken == nil {
		e.broken = err
	}
	e.poke()
	e.tell()
}
