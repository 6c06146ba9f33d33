package ledger

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

const (
	fetchBytes = 4 << 20
	maxDecode  = 16 << 20 // of one batch
	maxFetches = 20
)

// Refresh reads on to the topic's end: what others have written meanwhile. A topic that was made
// anew is read anew.
func (l *Ledger) Refresh(ctx context.Context) error {
	if err := l.reading.take(ctx); err != nil {
		return err
	}
	defer l.reading.end()
	for n := 1; ; n++ {
		before := l.next
		err := l.refresh(ctx)
		if l.next > before {
			n = 1
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case n == maxFetches:
			return wrap("read", err)
		case rawkafka.Unknown(err), errors.Is(err, kerr.OffsetOutOfRange):
			l.cl.Forget(l.part)
			l.forget()
		case rawkafka.Retriable(err):
			l.cl.Forget(l.part)
		default:
			return wrap("read", err)
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

func (l *Ledger) refresh(ctx context.Context) error {
	if l.part.Topic == "" {
		part, err := l.find(ctx)
		if err != nil || part.Topic == "" {
			return err
		}
		if l.next, err = l.offset(ctx, part, rawkafka.Earliest); err != nil {
			return err
		}
		l.part = part
	}
	end, err := l.offset(ctx, l.part, rawkafka.Latest)
	if err != nil {
		return err
	}
	if end < l.next { // it was truncated: what was read from there may be gone
		return kerr.OffsetOutOfRange
	}
	for l.next < end {
		if err := l.fetch(ctx, end); err != nil {
			return err
		}
	}
	return nil
}

// find looks for the topic. It returns no partition where there is no topic.
func (l *Ledger) find(ctx context.Context) (rawkafka.Partition, error) {
	topics, err := l.cl.Topics(ctx, Topic)
	if err != nil {
		return rawkafka.Partition{}, err
	}
	t := topics[Topic]
	switch {
	case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
		return rawkafka.Partition{}, nil
	case t.Err != nil:
		return rawkafka.Partition{}, t.Err
	}
	return rawkafka.Partition{Topic: Topic, TopicID: t.ID}, nil
}

func (l *Ledger) offset(ctx context.Context, p rawkafka.Partition, at int64) (int64, error) {
	got, err := l.cl.ListOffsets(ctx, []rawkafka.Partition{p}, at, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return 0, err
	}
	return got[p].Offset, got[p].Err
}

// fetch reads what one response has, and moves on behind it. An entry that isn't seen would be an
// entry that isn't there: so an empty answer isn't believed at once.
func (l *Ledger) fetch(ctx context.Context, end int64) error {
	got, void, err := l.cl.Read(ctx, l.part, l.next, rawkafka.ReadConfig{MaxBytes: fetchBytes, Tries: 1})
	if err != nil {
		return err
	}
	at := l.next
	if err := l.batches(got.RecordBatches); err != nil {
		return err
	}
	switch {
	case l.next > at:
	case void: // the cleaner took what was there
		l.next = min(end, got.HighWatermark)
	default: // a leader that hasn't caught up
		return kerr.NotLeaderForPartition
	}
	return nil
}

// batches takes what a response has in.
func (l *Ledger) batches(raw []byte) error {
	for b, err := range batch.All(raw) {
		if err != nil {
			return &TopicError{Reason: err.Error()}
		}
		if err := l.batch(b); err != nil {
			return err
		}
	}
	return nil
}

// batch takes a batch in. Transactional ones aren't ours.
func (l *Ledger) batch(b batch.Batch) error {
	if b.EndOffset() <= l.next {
		return nil
	}
	if !b.Transactional() && !b.Control() {
		if err := b.CheckCRC(); err != nil {
			return &TopicError{Reason: err.Error()}
		}
		rs, err := batch.Decode(b, maxDecode)
		if err != nil {
			return &TopicError{Reason: err.Error()}
		}
		for _, r := range rs {
			if r.Offset < l.next {
				continue
			}
			if err := l.take(r); err != nil {
				return err
			}
		}
	}
	l.next = b.EndOffset()
	return nil
}
