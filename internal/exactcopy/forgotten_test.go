package exactcopy

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// TestForgotten: a leader forgets producers of old data while a batch's answer is lost. It would
// take the batch a second time.
func TestForgotten(t *testing.T) {
	kafka := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"producer.id.expiration.check.interval.ms": "200"}})
	admin := connect(t, kafka, Config{})
	var ps kadm.TopicsSet
	ps.Add("t", 0)
	forgotten := func() bool {
		got, err := admin.cluster.Admin().DescribeProducers(t.Context(), ps)
		admin.must(err)
		return len(got["t"].Partitions[0].ActiveProducers) == 0
	}
	lost := 0
	c := &cutter{key: kmsg.Produce, every: 3, after: true}
	tg := connect(t, kafka, Config{JoinBelow: -1, OnRetry: func(op string, _ error) {
		if op == "produce" {
			lost++
			await(t, forgotten)
		}
	}}, c.opt())
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 8, 4)
	tg.must(p.Flush(t.Context(), true))
	if lost < 3 {
		t.Errorf("%d answers lost", lost)
	}
	await(t, forgotten)
	p = tg.opened(tg.newCopier(Config{}), name)
	kinds = append(kinds, tg.appendAll(p, 2, 4)...)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}

// TestReplacedBehindAppend: a leader that is replaced while it waits for its followers answers
// NOT_LEADER_OR_FOLLOWER, or UNKNOWN_TOPIC_OR_PARTITION, for what it has appended, and tells where.
// The next one may have it, and have forgotten the producer.
func TestReplacedBehindAppend(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition} {
		t.Run(e.Message, func(t *testing.T) {
			kafka := testkafka.Fake(t, testkafka.Options{})
			kf := testkafka.Kfake(kafka)
			tg, old := connect(t, kafka, Config{JoinBelow: -1}), connect(t, kafka, Config{})
			name := tg.topic("t", 1, 1, nil)[0]
			var sent atomic.Int32
			kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
				kf.KeepControl()
				req := kreq.(*kmsg.ProduceRequest)
				switch sent.Add(1) {
				case 2:
					kf.SleepControl(func() { _, _ = old.cluster.Request(t.Context(), 0, req) }) // number 3
					return answerProduce(req, e.Code, 4), nil, true
				case 4: // as a leader takes it that has forgotten
					b, _ := batch.Parse(req.Topics[0].Partitions[0].Records)
					req.Topics[0].Partitions[0].Records = b.ForProduce(nil, -1, -1, -1)
				}
				return nil, nil, false
			})
			p := tg.opened(tg.copier, name)
			kf.ControlKey(int16(kmsg.DescribeProducers), func(req kmsg.Request) (kmsg.Response, error, bool) {
				kf.KeepControl()
				return req.ResponseKind(), nil, true
			})
			kinds := tg.appendAll(p, 1, 4)
			tg.must(p.Flush(t.Context(), true))
			kinds = append(kinds, tg.appendAll(p, 1, 4)...)
			tg.must(p.Flush(t.Context(), true))
			if n := sent.Load(); n != 3 {
				t.Errorf("%d requests", n)
			}
			tg.check(name, kinds)
		})
	}
}

// TestForgottenBehindWatermark: a log's last batch can't be read before all replicas have it. Where
// the leader has forgotten its producer, what it says is waited for.
func TestForgottenBehindWatermark(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	p.Settled()
	tg.must(p.Hole(t.Context(), 2))
	tg.appendAll(p, 1, 4)
	tg.must(p.Flush(t.Context(), true))
	want := p.prod
	kf.ControlKey(int16(kmsg.DescribeProducers), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		return req.ResponseKind(), nil, true
	})
	var there atomic.Bool // on all replicas: by the time that it is asked whether it is
	kf.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		if req.(*kmsg.ListOffsetsRequest).ReplicaID == rawkafka.Consumer {
			there.Store(true)
		}
		return nil, nil, false
	})
	kf.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		if there.Load() {
			return nil, nil, false
		}
		resp := kreq.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = name.Topic, name.TopicID
		rt.Partitions = append(rt.Partitions, kmsg.NewFetchResponseTopicPartition())
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	if p = tg.opened(tg.newCopier(Config{}), name); p.prod != want {
		t.Errorf("goes on as %+v, want %+v", p.prod, want)
	}
}
