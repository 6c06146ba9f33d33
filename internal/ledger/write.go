package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

const (
	batchBytes  = 1 << 20 // a batch is closed when it has as much
	produceTime = 30 * time.Second
	retryFor    = time.Minute // without an answer that says yes
)

// producer is the idempotent producer of a Ledger: one batch in flight, sent again until its answer
// is decisive.
type producer struct {
	part     rawkafka.Partition // the topic ID that was found or made; zero: not looked yet
	id       int64
	epoch    int16
	sequence int32
}

// Put writes entries, a JSON object each; nil removes the key. When it returns without an error,
// all are durable (acks=all), and Get sees them. The topic is created at the first Put. Values have
// no field `v` of their own. Where it returns an error, any of the entries may have been written,
// or may be later. Faults of the entries themselves (an [*EntryError] each, joined) are found
// before anything is written.
func (l *Ledger) Put(ctx context.Context, entries map[string]any) error {
	rs, err := records(entries)
	if err != nil || len(rs) == 0 {
		return err
	}
	if err := l.writing.take(ctx); err != nil {
		return err
	}
	defer l.writing.end()
	if l.out.part.Topic == "" {
		if err := l.begin(ctx); err != nil {
			return err
		}
	}
	for len(rs) > 0 {
		n, size := 0, 0
		for n < len(rs) && (n == 0 || size+len(rs[n].Value) <= batchBytes) {
			size += len(rs[n].Key) + len(rs[n].Value)
			n++
		}
		base, err := l.produce(ctx, rs[:n])
		if err != nil {
			return err
		}
		if err := l.written(ctx, rs[:n], base); err != nil {
			return err
		}
		rs = rs[n:]
	}
	return nil
}

// written takes in what a Put has appended at base. Where nobody else has written since the last
// look, nothing is read.
func (l *Ledger) written(ctx context.Context, rs []*kgo.Record, base int64) error {
	if err := l.reading.take(ctx); err != nil {
		return err
	}
	if l.part.Topic == "" && base == 0 { // the topic's first
		l.part = l.out.part
	}
	if base < 0 || l.part != l.out.part || base != l.next {
		l.reading.end()
		return l.Refresh(ctx)
	}
	defer l.reading.end()
	for i, r := range rs {
		r.Offset = base + int64(i)
		if err := l.take(r); err != nil {
			return err
		}
	}
	l.next = base + int64(len(rs))
	return nil
}

// begin finds or makes the topic, and gets a producer id meanwhile.
func (l *Ledger) begin(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		l.out.part, err = l.prepare(gctx)
		return err
	})
	if l.out.id < 0 {
		g.Go(func() error {
			if err := l.initProducer(gctx); err != nil {
				return wrap("write", err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		l.out.part = rawkafka.Partition{}
		return err
	}
	return nil
}

// records encodes entries, in the order of their keys.
func records(entries map[string]any) ([]*kgo.Record, error) {
	var rs []*kgo.Record
	var errs []error
	now := time.UnixMilli(time.Now().UnixMilli())
	for key, v := range entries {
		value, err := encode(key, v)
		if err != nil {
			errs = append(errs, &EntryError{Key: key, Offset: -1, Err: err})
			continue
		}
		rs = append(rs, &kgo.Record{Key: []byte(key), Value: value, Timestamp: now})
	}
	slices.SortFunc(rs, func(a, b *kgo.Record) int { return bytes.Compare(a.Key, b.Key) })
	return rs, errors.Join(errs...)
}

// encode makes the JSON of a value, with the version in front; nil for nil.
func encode(key string, v any) ([]byte, error) {
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) {
		return nil, fmt.Errorf("not a key")
	}
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != '{' {
		return nil, fmt.Errorf("the value isn't a JSON object")
	}
	out := append([]byte(`{"v":`), strconv.Itoa(Version)...)
	if raw[1] != '}' {
		out = append(out, ',')
	}
	if out = append(out, raw[1:]...); len(out) > MaxValue {
		return nil, fmt.Errorf("%d bytes; an entry has at most %d", len(out), MaxValue)
	}
	return out, nil
}

// produce appends a batch, and returns where; -1: not known. The same bytes are sent until an
// answer is decisive: their sequence sees to it that they are appended once.
func (l *Ledger) produce(ctx context.Context, rs []*kgo.Record) (base int64, err error) {
	batch, err := l.batchOf(ctx, rs)
	if err != nil {
		return -1, err
	}
	since := time.Now()
	for n := 1; ; n++ {
		base, err := l.send(ctx, batch)
		switch {
		case err == nil, errors.Is(err, kerr.DuplicateSequenceNumber):
			l.out.sequence += int32(len(rs)) // far from a wrap: a Ledger writes little
			return base, nil
		case ctx.Err() != nil:
			l.out.id = -1 // undecided: what follows mustn't be taken for it
			return -1, context.Cause(ctx)
		case forgotten(err) && time.Since(since) <= retryFor:
			l.out.id = -1 // a leader that has lost our state
			if batch, err = l.batchOf(ctx, rs); err != nil {
				return -1, err
			}
		case !rawkafka.Retriable(err) && !rawkafka.Unknown(err), time.Since(since) > retryFor:
			l.out.id, l.out.part = -1, rawkafka.Partition{}
			return -1, wrap("write", err)
		}
		l.cl.Forget(l.out.part)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			l.out.id = -1
			return -1, err
		}
		if rawkafka.Unknown(err) { // deleted, or made anew
			if l.out.part, err = l.prepare(ctx); err != nil {
				return -1, err
			}
		}
	}
}

// forgotten says that a leader doesn't know our producer any more.
func forgotten(err error) bool {
	return errors.Is(err, kerr.OutOfOrderSequenceNumber) || errors.Is(err, kerr.UnknownProducerID) || errors.Is(err, kerr.InvalidProducerEpoch)
}

// batchOf encodes records as the producer's next batch.
func (l *Ledger) batchOf(ctx context.Context, rs []*kgo.Record) ([]byte, error) {
	if l.out.id < 0 {
		if err := l.initProducer(ctx); err != nil {
			return nil, wrap("write", err)
		}
	}
	raw, err := batch.Append(nil, 0, kgo.NoCompression(), rs...)
	if err != nil {
		return nil, fmt.Errorf("ledger: encode: %w", err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("ledger: encode: %w", err)
	}
	return b.ForProduce(nil, l.out.id, l.out.epoch, l.out.sequence), nil
}

func (l *Ledger) initProducer(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionTimeoutMillis = int32(produceTime.Milliseconds())
	for n := 1; ; n++ {
		resp, err := req.RequestWith(ctx, l.cl.Client())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			l.out.id, l.out.epoch, l.out.sequence = resp.ProducerID, resp.ProducerEpoch, 0
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n == maxFetches || !rawkafka.Retriable(err) {
			return err
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

// send returns where the batch was appended; -1 beside an error, or where the broker doesn't say.
func (l *Ledger) send(ctx context.Context, batch []byte) (base int64, err error) {
	leader, _, err := l.cl.Leader(ctx, l.out.part)
	if err != nil {
		return -1, err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(produceTime.Milliseconds())
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = Topic, l.out.part.TopicID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := l.cl.Request(ctx, leader, req)
	if err != nil {
		return -1, err
	}
	resp := kresp.(*kmsg.ProduceResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return -1, fmt.Errorf("produce: the answer has no partition")
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		return -1, err
	}
	return resp.Topics[0].Partitions[0].BaseOffset, nil
}
