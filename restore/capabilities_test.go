package restore

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// lacking is a restore onto a kfake whose ApiVersions lacks requests.
func lacking(t testing.TB, s *storage.Snapshot, keys ...kmsg.Key) (Config, testkafka.Cluster) {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Without(keys...))
	return Config{Target: cl.Opts(), Snapshot: s, quiet: 10 * time.Millisecond}, cl
}

// TestLacking: whatever request a target doesn't know, a restore doesn't fail half way: it does
// without, or the plan says what is missing.
func TestLacking(t *testing.T) {
	bare := []fakeTopic{{name: "t", partitions: []opstest.History{plain(t, 0, 2, 3)}}}
	full := []fakeTopic{
		{name: "t", partitions: []opstest.History{holey(t, 0, 4), plain(t, 5, 2, 3)}, configs: map[string]string{"cleanup.policy": "compact"}},
		{name: "u", partitions: []opstest.History{plain(t, 0, 1, 3)}},
	}
	type outcome string
	const works, refused = outcome("works"), outcome("refused")
	for _, c := range []struct {
		keys       []kmsg.Key
		bare, full outcome
	}{
		{nil, works, works},
		{[]kmsg.Key{kmsg.WriteTxnMarkers}, works, works},
		{[]kmsg.Key{kmsg.WriteTxnMarkers, kmsg.AddPartitionsToTxn}, works, refused},
		{[]kmsg.Key{kmsg.WriteTxnMarkers, kmsg.InitProducerID}, works, refused},
		{[]kmsg.Key{kmsg.InitProducerID, kmsg.EndTxn}, works, works},
		{[]kmsg.Key{kmsg.DescribeProducers}, works, works},
		{[]kmsg.Key{kmsg.DescribeTransactions}, works, works},
		{[]kmsg.Key{kmsg.DescribeCluster}, works, works},
		{[]kmsg.Key{kmsg.IncrementalAlterConfigs}, refused, refused},
		{[]kmsg.Key{kmsg.DeleteRecords}, works, refused},
		{[]kmsg.Key{kmsg.OffsetForLeaderEpoch}, works, works},
		{[]kmsg.Key{kmsg.CreateTopics}, refused, refused},
	} {
		for i, topics := range [][]fakeTopic{bare, full} {
			want, change := c.bare, func(*storage.Change) {}
			if i == 1 {
				want, change = c.full, withGroup("g", 0, 4)
			}
			cfg, cl := lacking(t, fakeArchive(t, change, topics...), c.keys...)
			p, err := NewPlan(t.Context(), cfg)
			got := works
			switch {
			case err != nil, len(p.Conflicts) > 0:
				got = refused
			default:
				if _, err = p.Run(t.Context()); err != nil {
					got = outcome("fails: " + err.Error())
					break
				}
				checkTopics(t, cl, copyops.Filter{}, topics...)
			}
			if got != want {
				t.Errorf("%v: %s, want %s; %v, %v", c.keys, got, want, err, p)
			}
		}
	}
}

// TestMarkersIgnored: markers that are answered with success and not written end the run within
// seconds, with an error that says so.
func TestMarkersIgnored(t *testing.T) {
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{holey(t, 0, 4)}}))
	kf := testkafka.Kfake(cl)
	kf.ControlKey(int16(kmsg.WriteTxnMarkers), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		return testkafka.MarkersWritten(kreq.(*kmsg.WriteTxnMarkersRequest)), nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = p.Run(t.Context())
	var at *PartitionError
	if !errors.Is(err, ErrMarkersIgnored) || !errors.As(err, &at) || at.Topic != "t" || at.Offset != 10 {
		t.Errorf("got %v", err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("after %v", d)
	}
}

// TestStamped: a topic that stamps records itself ends its partition at the first batch, with an
// error that says so.
func TestStamped(t *testing.T) {
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 50, 3)}}))
	kf := testkafka.Kfake(cl)
	kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range kreq.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.LogAppendTime = time.Now().UnixMilli()
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context())
	var at *PartitionError
	if !errors.Is(err, ErrStamped) || !errors.As(err, &at) || at.Topic != "t" || at.Offset != 0 {
		t.Errorf("got %v", err)
	}
}

// TestTwoLeaders: where the target's end is of a leader that is being replaced, and the high
// watermark of the next one, a plan asks again.
func TestTwoLeaders(t *testing.T) {
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 5, 3)}}))
	restored(t, cfg)
	kf := testkafka.Kfake(cl)
	var stale atomic.Int32
	stale.Store(2)
	kf.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		if req.ReplicaID != -2 || stale.Add(-1) < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt, rp := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		rt.Topic, rp.Offset = "t", 6
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Topics[0].Partitions[0].Position; got != 15 || p.Records != 0 {
		t.Errorf("position %d, %d records to do, want 15 and 0", got, p.Records)
	}
}
