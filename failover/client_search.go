package failover

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	// searchBefore is how much before its records' oldest timestamp a partition is read: brokers' clocks don't count, since timestamps are the producer's.
	searchBefore = time.Second
	searchBytes  = 4 << 20
	searchWait   = 500 // milliseconds
	// searchRequest bounds each request of a search.
	searchRequest = 5 * time.Second
)

// search looks for records on a session's cluster, by content: key, value, headers and timestamp. Of equal ones each of the cluster's is taken once. It reads each partition from the first
// record that isn't older, by the cluster's own index of times, to the fork, or to the end where it is the same cluster.
func (c *Client) search(ctx context.Context, s *session, es []doubt) (map[*entry]int64, error) {
	if len(es) == 0 {
		return nil, nil
	}
	cl, err := rawkafka.Connect(ctx, s.path, rawkafka.Config{RequestTimeout: searchRequest, RetryFor: searchRequest, OnRetry: c.cfg.Hooks.OnRetry})
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	by := make(map[topicPartition][]doubt)
	for _, e := range es {
		at := topicPartition{e.rec.Topic, e.rec.Partition}
		by[at] = append(by[at], e)
	}
	found := make(map[*entry]int64)
	for at, es := range by {
		if err := c.searchPartition(ctx, cl, s, at, es, found); err != nil {
			return nil, fmt.Errorf("%s/%d: %w", at.topic, at.partition, err)
		}
	}
	return found, nil
}

func (c *Client) searchPartition(ctx context.Context, cl *rawkafka.Cluster, s *session, at topicPartition, es []doubt, found map[*entry]int64) error {
	topics, err := cl.Topics(ctx, at.topic)
	if err == nil {
		err = topics[at.topic].Err
	}
	if err != nil {
		if !rawkafka.Unknown(err) {
			return err
		}
		there, aerr := cl.Anywhere(ctx, at.topic)
		switch {
		case aerr != nil:
			return aerr
		case len(there) > 0:
			return err // of a broker that lags behind
		}
		return nil // the cluster hasn't got the topic, and so none of the records
	}
	p := rawkafka.Partition{Topic: at.topic, TopicID: topics[at.topic].ID, Partition: at.partition}
	from, to, err := c.extent(ctx, cl, s, p, es)
	if err != nil {
		return err
	}
	seed := maphash.MakeSeed()
	wanted := make(map[uint64][]doubt, len(es))
	for _, e := range es {
		h := contentHash(seed, e.rec)
		wanted[h] = append(wanted[h], e)
	}
	take := func(r *kgo.Record) {
		h := contentHash(seed, r)
		for i, e := range wanted[h] {
			if sameContent(r, e.rec) { // the first of equal ones that isn't found yet
				found[e.entry] = r.Offset
				wanted[h] = append(wanted[h][:i:i], wanted[h][i+1:]...)
				return
			}
		}
	}
	for from < to {
		if from, err = scan(ctx, cl, p, from, to, take); err != nil {
			return err
		}
	}
	return nil
}

// extent is where the records may lie: [from, to).
func (c *Client) extent(ctx context.Context, cl *rawkafka.Cluster, s *session, p rawkafka.Partition, es []doubt) (from, to int64, err error) {
	oldest, before := es[0].rec.Timestamp, es[0].session.epoch.Number < s.epoch.Number
	for _, e := range es[1:] {
		if e.rec.Timestamp.Before(oldest) {
			oldest = e.rec.Timestamp
		}
		before = before && e.session.epoch.Number < s.epoch.Number
	}
	if to, err = offsetAt(ctx, cl, p, rawkafka.Latest); err != nil {
		return 0, 0, err
	}
	if fork, ok := s.epoch.Fork(p.Topic, p.Partition); ok && before && s.epoch.Active != s.epoch.From {
		to = min(to, fork)
	}
	if from, ok := c.behind(s, topicPartition{p.Topic, p.Partition}, es); ok {
		start, err := offsetAt(ctx, cl, p, rawkafka.Earliest) // others' records may have been deleted since
		return min(max(from, start), to), to, err
	}
	if from, err = offsetAt(ctx, cl, p, max(oldest.Add(-searchBefore).UnixMilli(), 0)); from < 0 { // nothing is that new
		from = to
	}
	return from, to, err
}

// offsetAt is a partition's offset at a time, or at one of its ends.
func offsetAt(ctx context.Context, cl *rawkafka.Cluster, p rawkafka.Partition, at int64) (int64, error) {
	os, err := cl.ListOffsets(ctx, []rawkafka.Partition{p}, at, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err == nil {
		err = os[p].Err
	}
	return os[p].Offset, err
}

// behind is an offset that none of the records is before: that of the first acked one among them, one behind the last record of the partition that was acked in their session, since kgo keeps a partition's order, or where the session's cluster
// ended when it became active. Times would do where there is none; unlike those it tells a record from an equal one that was acked before, and doesn't mind clocks.
func (c *Client) behind(s *session, at topicPartition, es []doubt) (int64, bool) {
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

// scan reads once, and says where to go on.
func scan(ctx context.Context, cl *rawkafka.Cluster, p rawkafka.Partition, from, to int64, take func(*kgo.Record)) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, searchRequest)
	defer cancel()
	leader, _, err := cl.Leader(ctx, p)
	if err != nil {
		return from, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = searchWait, 1, searchBytes, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.TopicID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = p.Partition, from, searchBytes, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := cl.Request(ctx, leader, req)
	if err != nil {
		return from, err
	}
	fr := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(fr.ErrorCode); err != nil {
		return from, err
	}
	if len(fr.Topics) != 1 || len(fr.Topics[0].Partitions) != 1 {
		return from, errOmitted
	}
	part := &fr.Topics[0].Partitions[0]
	opts := kgo.ProcessFetchPartitionOpts{Offset: from, Topic: p.Topic, Partition: p.Partition, KeepControlRecords: true}
	got, next := kgo.ProcessFetchPartition(opts, part, kgo.DefaultDecompressor(), nil)
	if got.Err != nil {
		cl.Forget(p)
		return from, got.Err
	}
	for _, r := range got.Records {
		if !r.Attrs.IsControl() && r.Offset < to {
			take(r)
		}
	}
	if next <= from && part.HighWatermark >= to { // nothing is visible up to there
		return to, nil
	}
	return max(next, from), nil
}

var errOmitted = fmt.Errorf("the broker's answer omits the partition: %w", kerr.UnknownServerError)

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

// sameContent compares what a producer gave with what a log has. kgo keeps milliseconds; a broker that notes its own time doesn't keep the producer's.
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
