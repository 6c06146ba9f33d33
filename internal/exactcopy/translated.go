package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// A Placed is a batch of a job in a target's log: its records [First, First+Records), counted from
// the job's first in this partition, lie at the offsets [Base, Base+Records). Where the target's
// cleaner has removed some since, they are counted all the same.
type Placed struct {
	First, Base, Records int64
}

// A Checkpoint is a place in a target partition up to which a job is known: all its records below
// Offset have ordinals below Ordinal, all above have Ordinal or more. A job that hasn't begun is at
// {the target's end, 0}; the one behind a [Placed] is {Base+Records, First+Records}.
type Checkpoint struct {
	Offset, Ordinal int64
}

// A Translation is a job that appends records to a partition that holds others already, and
// wherever they come to lie there.
type Translation struct {
	// Required.

	// Job names it: all processes that do the same job have the same name, all others have others.
	// A job's records in a partition are counted from 0; process after process must give the same
	// record the same ordinal.
	Job string
	// OnPlaced is called for each batch of the job from From on, in order and once each: for those
	// that the log holds while it is opened, for those that are appended once all replicas have
	// them. One call at a time, from another goroutine. It must not block.
	OnPlaced func(Placed)

	// Optional.

	// From is where the job is known from: what lies between it and the target's end is read. It
	// must have been durable somewhere before the first batch was appended. Zero: the whole log is
	// read.
	From Checkpoint
}

func (t Translation) validate() error {
	var errs []error
	if t.Job == "" {
		errs = append(errs, errors.New("Translation.Job is missing"))
	}
	if t.OnPlaced == nil {
		errs = append(errs, errors.New("Translation.OnPlaced is missing"))
	}
	if t.From.Offset < 0 || t.From.Ordinal < 0 {
		errs = append(errs, fmt.Errorf("Translation.From is %d, %d", t.From.Offset, t.From.Ordinal))
	}
	return errors.Join(errs...)
}

// Errors of jobs that callers act on. Neither passes.
var (
	// ErrDoubled: the log holds records of a job twice.
	ErrDoubled = errors.New("the target's log holds records of the job twice")
	// ErrLost: the log, or its leader, knows less of the job than the checkpoint.
	ErrLost = errors.New("the target has lost records of the job")
)

// Translated is a partition that a job is appended to. The records' ordinals are their sequences,
// so a leader takes each once and in order, whoever else writes between. One goroutine at a time.
// After an error only Close is left, and Next and Err. Offset of a [PartitionError] is an ordinal.
type Translated struct{ p *Partition }

// OpenTranslated waits until the log's end is on all replicas, and reads from t.From up to there
// what the job has placed. Else it is like Open. Errors: as those of Open, [ErrDoubled], [ErrLost].
func (c *Copier) OpenTranslated(ctx context.Context, name rawkafka.Partition, t Translation) (*Translated, error) {
	if err := t.validate(); err != nil {
		return nil, at(name, 0, "open", err)
	}
	p := &Partition{c: c, name: name, prod: newJob(t.Job, name), wake: make(chan struct{}, 1), placed: t.OnPlaced}
	if err := c.opened(p, func() error { return p.learnPlaced(ctx, t.From) }); err != nil {
		return nil, err
	}
	return &Translated{p}, nil
}

// Next is the ordinal of the record that comes next.
func (t *Translated) Next() int64 { return t.p.Position() }

// Append queues a copy of a whole batch, whose first record has the ordinal Next. Its own offsets
// don't matter, but that none is missing inside; no LogAppendTime, no control bit. It waits while
// the queue is full. Errors of earlier batches surface here or in Flush: where it is
// [ErrUndecided], OnPlaced hasn't been told all; open again from its last, and go on at Next.
func (t *Translated) Append(ctx context.Context, b batch.Batch) error {
	next := t.Next()
	if err := sendable(b, b.BaseOffset()); err != nil {
		return at(t.p.name, next, "append", err)
	}
	return t.p.append(ctx, b, next)
}

// Flush waits until all that was queued is appended and on all replicas, and OnPlaced was called
// for it.
func (t *Translated) Flush(ctx context.Context) error { return t.p.Flush(ctx, false) }

// Err is the error that ended it, if one has.
func (t *Translated) Err() error { return t.p.Err() }

// Close drops what is queued and not sent, and waits for what is. OnPlaced isn't called any more.
func (t *Translated) Close() { t.p.Close() }

// learnPlaced finds the next ordinal: in the log, or, where the log's end has been deleted, in the
// leader's memory.
func (p *Partition) learnPlaced(ctx context.Context, from Checkpoint) error {
	r := placedReader{cl: p.c.cfg.Cluster, name: p.name, prod: p.prod, at: from}
	return p.retry(ctx, "open", func() error {
		before, err := p.remembered(ctx)
		if err != nil {
			return err
		}
		end, watermark, err := p.ends(ctx)
		if err != nil {
			return err
		}
		if watermark < end {
			return errNotReplicated
		}
		if r.at.Offset > end {
			return lost("it ends at %d, the checkpoint is at %d", end, r.at.Offset)
		}
		if err := r.to(ctx, end, p.placed); err != nil {
			return err
		}
		now, err := p.remembered(ctx)
		if err != nil || now.of(0) != before.of(0) {
			return cmpErr(err, errMoves)
		}
		next := r.at.Ordinal
		if last := now.of(0); last.found { // retention may have deleted our last
			ahead, ok := distance(next, after(last.sequence, 1))
			if !ok {
				return lost("the leader's last sequence is %d, the next record %d", last.sequence, next)
			}
			next += ahead
		}
		p.prod.start(next)
		p.end, p.position, p.durable = next, next, next
		return nil
	})
}

// lost is tried again for a while: a leader that was replaced while it stood still may have said
// it.
func lost(format string, args ...any) error {
	return fmt.Errorf("%w: "+format+": %w", append(append([]any{ErrLost}, args...), kerr.UnknownServerError)...)
}

// distance is how far a sequence is ahead of an ordinal; not ok where it is behind.
func distance(ordinal int64, sequence int32) (ahead int64, ok bool) {
	ahead = (int64(sequence) - ordinal) & math.MaxInt32
	return ahead, ahead < 1<<30
}

// answeredPlaced is answered of a job. Nothing can be compared with the base offset, so all but an
// appended batch on all replicas, and a refusal, must be looked up in the log.
func (p *Partition) answeredPlaced(ctx context.Context, it *item, err error, base int64) bool {
	switch {
	case err == nil && base >= 0:
		p.placed(Placed{First: it.base, Base: base, Records: it.end - it.base})
		return p.done(it, true)
	case notAppended(err):
		p.failed(ctx, it, err)
	case err == nil, appended(err), elsewhere(err), rawkafka.Retriable(err):
		p.stop(at(p.name, it.base, "produce", undecided(cmpErr(err, errOmitted))))
	default:
		p.stop(at(p.name, it.base, "produce", err))
	}
	return false
}

// notAppended: decisively not, where the answer tells no offset, and it passes.
func notAppended(err error) bool {
	for _, is := range []error{
		kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.ThrottlingQuotaExceeded,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
