package failover

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	// searchBefore is how much before its records' oldest timestamp a partition is read: brokers'
	// clocks don't count, since timestamps are the producer's.
	searchBefore = time.Second
	// searchRequest bounds each request of a search.
	searchRequest = 5 * time.Second
	// searchPatience is how long a search waits for partitions that have no leader.
	searchPatience = 3 * time.Second
)

// findings are what a search knows of records in doubt.
type findings struct {
	// found are the offsets of those that are there.
	found map[*entry]int64
	// unsearched are the partitions that can't be read, and why: whether their records are there
	// isn't known.
	unsearched map[topicPartition]error
}

// search looks for records on a session's cluster, by content: key, value, headers and timestamp.
// Of equal ones each of the cluster's is taken once. It reads each partition from lowerBound to the
// fork, or to the end where it is the same cluster. It asks each broker for all of its partitions
// at once. A partition that can't be read is no error, unless nothing answers.
func (c *Client) search(ctx context.Context, s *session, es []doubt) (*findings, error) {
	if len(es) == 0 {
		return &findings{}, nil
	}
	cl, err := rawkafka.Connect(ctx, s.path, rawkafka.Config{RequestTimeout: searchRequest, RetryFor: searchPatience, OnRetry: c.cfg.Hooks.OnRetry})
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return c.searchOn(ctx, cl, s, es)
}

func (c *Client) searchOn(ctx context.Context, cl *rawkafka.Cluster, s *session, es []doubt) (*findings, error) {
	by := make(map[topicPartition][]doubt)
	for _, e := range es {
		at := topicPartition{e.rec.Topic, e.rec.Partition}
		by[at] = append(by[at], e)
	}
	f := &findings{found: make(map[*entry]int64), unsearched: make(map[topicPartition]error)}
	ps, err := f.partitions(ctx, cl, by)
	if err != nil {
		return nil, err
	}
	spans, err := c.spans(ctx, cl, s, ps, by, f)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	wanted := make(map[rawkafka.Partition]map[uint64][]doubt, len(spans))
	for p := range spans {
		wanted[p] = byContent(seed, by[topicPartition{p.Topic, p.Partition}])
	}
	take := func(p rawkafka.Partition, r *kgo.Record) {
		h := contentHash(seed, r)
		of := wanted[p]
		for i, e := range of[h] {
			if sameContent(r, e.rec) { // the first of equal ones that isn't found yet
				f.found[e.entry] = r.Offset
				of[h] = slices.Delete(of[h], i, i+1)
				return
			}
		}
	}
	failed, err := readSpans(ctx, cl, spans, take)
	if err != nil {
		return nil, err
	}
	f.fail(failed)
	return f, f.away(len(by))
}

// partitions are those that the cluster has. It hasn't got a topic, and so none of its records,
// where no broker has.
func (f *findings) partitions(ctx context.Context, cl *rawkafka.Cluster, by map[topicPartition][]doubt) ([]rawkafka.Partition, error) {
	var names []string
	for at := range by {
		names = append(names, at.topic)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	topics, err := cl.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	unknown := slices.DeleteFunc(names, func(name string) bool { return !rawkafka.Unknown(topics[name].Err) })
	if len(unknown) > 0 {
		views, err := cl.Everywhere(ctx, unknown...)
		if err != nil {
			return nil, err
		}
		for _, there := range views {
			for name := range there {
				return nil, fmt.Errorf("%s: %w", name, topics[name].Err) // of a broker that lags behind
			}
		}
	}
	var ps []rawkafka.Partition
	for at := range by {
		switch t := topics[at.topic]; {
		case rawkafka.Unknown(t.Err):
		case rawkafka.Denies(t.Err):
			f.unsearched[at] = t.Err
		case t.Err != nil:
			return nil, fmt.Errorf("%s: %w", at.topic, t.Err)
		default:
			ps = append(ps, rawkafka.Partition{Topic: at.topic, TopicID: t.ID, Partition: at.partition})
		}
	}
	return ps, nil
}

// spans are where the records of partitions may lie.
func (c *Client) spans(ctx context.Context, cl *rawkafka.Cluster, s *session, ps []rawkafka.Partition, by map[topicPartition][]doubt, f *findings) (map[rawkafka.Partition]*span, error) {
	spans := make(map[rawkafka.Partition]*span, len(ps))
	times, err := cl.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return nil, err
	}
	starts := make(map[rawkafka.Partition]int64)
	for _, p := range ps {
		at := topicPartition{p.Topic, p.Partition}
		if times[p].Err != nil {
			f.unsearched[at] = times[p].Err
			continue
		}
		sp := &span{to: times[p].Offset}
		oldest, before := ageOf(by[at], s)
		if fork, ok := s.epoch.Fork(p.Topic, p.Partition); ok && before && s.epoch.Active != s.epoch.From {
			sp.to = min(sp.to, fork)
		}
		var known bool
		if sp.from, known = c.lowerBound(s, at, by[at]); known && sp.from >= sp.to {
			continue // nothing can be there
		}
		spans[p] = sp
		starts[p] = rawkafka.Earliest // others' records may have been deleted since
		if !known {
			starts[p] = max(oldest.Add(-searchBefore).UnixMilli(), 0)
		}
	}
	return spans, clip(ctx, cl, spans, starts, f)
}

// clip moves spans' beginnings to where the cluster says, by its log's start or its index of times.
func clip(ctx context.Context, cl *rawkafka.Cluster, spans map[rawkafka.Partition]*span, at map[rawkafka.Partition]int64, f *findings) error {
	if len(at) == 0 {
		return nil
	}
	starts, err := cl.ListOffsetsAt(ctx, at, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	for p, start := range starts {
		switch {
		case start.Err != nil:
			f.unsearched[topicPartition{p.Topic, p.Partition}] = start.Err
			delete(spans, p)
		case start.Offset < 0: // nothing is that new
			delete(spans, p)
		default:
			spans[p].from = max(spans[p].from, start.Offset)
		}
	}
	return nil
}

// ageOf is the oldest timestamp of records, and whether all were sent before a session's epoch.
func ageOf(es []doubt, s *session) (oldest time.Time, before bool) {
	oldest, before = es[0].rec.Timestamp, true
	for _, e := range es {
		if e.rec.Timestamp.Before(oldest) {
			oldest = e.rec.Timestamp
		}
		before = before && e.session.epoch.Number < s.epoch.Number
	}
	return oldest, before
}

// lowerBound is where the search of a partition starts: (a) the offset of the first acked record;
// else (b) one past the last offset that was acked in the partition in this session, since kgo
// keeps a partition's order; else (c) the fork of the session's epoch. Times would do where there
// is none. Unlike them it tells a record from an equal one that was acked before, and doesn't mind
// clocks.
func (c *Client) lowerBound(s *session, at topicPartition, es []doubt) (int64, bool) {
	in := es[0].session
	for _, e := range es {
		if e.session != in || e.moved {
			return 0, false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.Translate != nil && c.crossed(in.epoch, s.epoch) { // no exact copy
		return 0, false
	}
	if es[0].acked { // those come first, and an exact copy has them where they were
		return es[0].rec.Offset, true
	}
	if last, ok := in.acked.by[at]; ok {
		return *last + 1, true
	}
	if in.epoch.Active == in.epoch.From {
		return 0, false
	}
	return in.epoch.Fork(at.topic, at.partition)
}

// fail notes partitions that can't be read.
func (f *findings) fail(failed map[rawkafka.Partition]error) {
	for p, err := range failed {
		f.unsearched[topicPartition{p.Topic, p.Partition}] = err
	}
}

// away is an error where not one of n partitions has an answer of its broker's, be it that there is
// no leader: then it is the cluster that is away.
func (f *findings) away(n int) error {
	if n == 0 || len(f.unsearched) < n {
		return nil
	}
	var errs []error
	for at, err := range f.unsearched {
		var answer *kerr.Error
		var empty *rawkafka.EmptyError
		if errors.As(err, &answer) || errors.As(err, &empty) || errors.Is(err, errShort) {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s/%d: %w", at.topic, at.partition, err))
	}
	return errs[0]
}

// names are the partitions that can't be read, sorted, each with its reason.
func (f *findings) names() []string {
	names := make([]string, 0, len(f.unsearched))
	for at, err := range f.unsearched {
		names = append(names, fmt.Sprintf("%s/%d: %v", at.topic, at.partition, err))
	}
	slices.Sort(names)
	return names
}

// byContent sorts records by the hash of what is in them.
func byContent(seed maphash.Seed, es []doubt) map[uint64][]doubt {
	by := make(map[uint64][]doubt, len(es))
	for _, e := range es {
		h := contentHash(seed, e.rec)
		by[h] = append(by[h], e)
	}
	return by
}

const (
	readBytes = 4 << 20
	readWait  = 500 * time.Millisecond
)

// span is what is read of a partition: [from, to). empty are the answers in a row that moved
// nothing.
type span struct {
	from, to int64
	empty    rawkafka.Empties
}

var errShort = errors.New("its leader has nothing to give before the end of its log")

// readSpans calls take with the records of partitions' spans, of aborted transactions too, in order
// per partition. It says which partitions couldn't be read to the end.
func readSpans(ctx context.Context, cl *rawkafka.Cluster, spans map[rawkafka.Partition]*span, take func(rawkafka.Partition, *kgo.Record)) (failed map[rawkafka.Partition]error, err error) {
	left := maps.Clone(spans)
	failed = make(map[rawkafka.Partition]error)
	logs := make(map[string]rawkafka.Log) // of topics whose leaders had nothing to give
	for {
		from := make(map[rawkafka.Partition]int64, len(left))
		for p, sp := range left {
			if sp.from >= sp.to {
				delete(left, p)
				continue
			}
			from[p] = sp.from
		}
		if len(from) == 0 {
			return failed, nil
		}
		answers, err := cl.ReadOnce(ctx, from, readBytes, readWait)
		if err != nil {
			return nil, err
		}
		for p, a := range answers {
			if err := left[p].read(p, a, take); err != nil {
				failed[p] = err
				delete(left, p)
			}
		}
		if err := believe(ctx, cl, left, logs, failed); err != nil {
			return nil, err
		}
	}
}

// believe judges the answers without data: where the log compacts, and they last, no record is
// there. Elsewhere records are somewhere, and a search that left them out would have them sent
// again: the partition counts as unread after a while.
func believe(ctx context.Context, cl *rawkafka.Cluster, left map[rawkafka.Partition]*span, logs map[string]rawkafka.Log, failed map[rawkafka.Partition]error) error {
	waits := len(left) > 0
	for p, sp := range left {
		if sp.empty.N == 0 {
			waits = false
			continue
		}
		log, ok := logs[p.Topic]
		if !ok {
			got, err := cl.Logs(ctx, p.Topic)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if log = got[p.Topic]; err != nil {
				log = rawkafka.Log{Remote: true} // not known
			}
			logs[p.Topic] = log
		}
		switch now := time.Now(); {
		case sp.empty.To > sp.from && sp.empty.Proves(log, now):
			sp.from, sp.empty = min(sp.to, sp.empty.To), rawkafka.Empties{}
			waits = false
		case sp.empty.For(now) <= searchPatience:
		case sp.empty.To <= sp.from:
			failed[p] = errShort
			delete(left, p)
		default:
			failed[p] = sp.empty.Error(p, sp.from, log, now)
			delete(left, p)
		}
	}
	if !waits { // somebody has something
		return nil
	}
	return rawkafka.Sleep(ctx, rawkafka.VoidPause)
}

// read takes an answer in.
func (sp *span) read(p rawkafka.Partition, a rawkafka.Read, take func(rawkafka.Partition, *kgo.Record)) error {
	if a.Err != nil || a.Answer == nil {
		return a.Err
	}
	opts := kgo.ProcessFetchPartitionOpts{Offset: sp.from, Topic: p.Topic, Partition: p.Partition, KeepControlRecords: true}
	got, next := kgo.ProcessFetchPartition(opts, a.Answer, kgo.DefaultDecompressor(), nil)
	if got.Err != nil {
		return got.Err
	}
	for _, r := range got.Records {
		if !r.Attrs.IsControl() && r.Offset < sp.to {
			take(p, r)
		}
	}
	switch {
	case next > sp.from:
		sp.from, sp.empty = next, rawkafka.Empties{}
	case a.Idle:
		sp.empty.Add(a.Answer.HighWatermark, time.Now())
	}
	return nil
}

func contentHash(seed maphash.Seed, r *kgo.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var n [8]byte
	put := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = h.Write(n[:])
		_, _ = h.Write(b)
	}
	put(r.Key)
	put(r.Value)
	for _, f := range r.Headers {
		_, _ = h.WriteString(f.Key)
		put(f.Value)
	}
	return h.Sum64()
}

// sameContent compares what a producer gave with what a log has. kgo keeps milliseconds; a broker
// that notes its own time doesn't keep the producer's.
func sameContent(a, b *kgo.Record) bool {
	if a.Attrs.TimestampType() == 0 && a.Timestamp.UnixMilli() != b.Timestamp.UnixMilli() || !sameBytes(a.Key, b.Key) || !sameBytes(a.Value, b.Value) || len(a.Headers) != len(b.Headers) {
		return false
	}
	for i := range a.Headers {
		if a.Headers[i].Key != b.Headers[i].Key || !sameBytes(a.Headers[i].Value, b.Headers[i].Value) {
			return false
		}
	}
	return true
}

// sameBytes tells null from empty.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }
