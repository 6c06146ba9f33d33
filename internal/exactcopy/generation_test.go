package exactcopy

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// produceLate sends a batch as a process that died would have, and whose request the network has
// kept until now.
func (t *target) produceLate(name rawkafka.Partition, records []byte) {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = name.Topic, name.TopicID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = records
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	leader, _, err := t.cluster.Leader(t.Context(), name)
	t.must(err)
	_, err = t.cluster.Request(t.Context(), leader, req)
	t.must(err)
}

// remember answers DescribeProducers for a partition with one producer, as a leader that has
// forgotten all others.
func remember(kf *kfake.Cluster, name rawkafka.Partition, pid int64, epoch int16, last int32) {
	kf.ControlKey(int16(kmsg.DescribeProducers), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		rt, rp := kmsg.NewDescribeProducersResponseTopic(), kmsg.NewDescribeProducersResponseTopicPartition()
		rt.Topic, rp.Partition = name.Topic, name.Partition
		ap := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		ap.ProducerID, ap.ProducerEpoch, ap.LastSequence = pid, int32(epoch), last
		rp.ActiveProducers = append(rp.ActiveProducers, ap)
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
}

// TestForgottenGeneration: a leader remembers a generation whose last append is a marker, and has
// forgotten the next one, whose data is old. A batch of that one whose answer is lost isn't sent
// again where it is in the log, and whoever opens the partition goes on in it. The generations
// wrap.
func TestForgottenGeneration(t *testing.T) {
	for _, gen := range []uint16{0, generations - 1} {
		kafka := testkafka.Fake(t, testkafka.Options{})
		kf := testkafka.Kfake(kafka)
		tg, dead := connect(t, kafka, Config{JoinBelow: -1}), connect(t, kafka, Config{})
		name := tg.topic("t", 1, 1, nil)[0]
		p := tg.opened(tg.copier, name)
		p.Settled()
		p.prod.gen, p.prod.epoch = gen, maxEpoch-1
		tg.must(p.Hole(t.Context(), 1)) // the generation's last epoch
		if p.prod.gen != gen+1 || p.prod.epoch != 0 {
			t.Fatalf("behind the hole: %+v", p.prod)
		}
		remember(kf, name, p.prod.id|int64(gen), maxEpoch, -1)
		kinds := append([]bool{false}, tg.appendAll(p, 1, 4)...)
		tg.must(p.Flush(t.Context(), true))
		var sent atomic.Int32
		kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			req := kreq.(*kmsg.ProduceRequest)
			switch sent.Add(1) {
			case 1: // appended, and its answer is lost
				kf.SleepControl(func() { dead.produceLate(name, req.Topics[0].Partitions[0].Records) })
				return nil, errors.New("cut"), true
			case 3: // as a leader takes it that has forgotten
				b, err := batch.Parse(req.Topics[0].Partitions[0].Records)
				tg.must(err)
				req.Topics[0].Partitions[0].Records = b.ForProduce(nil, -1, -1, -1)
			}
			return nil, nil, false
		})
		kinds = append(kinds, tg.appendAll(p, 1, 4)...)
		tg.must(p.Flush(t.Context(), true))
		want := p.prod
		if p = tg.opened(tg.newCopier(Config{}), name); p.prod != want {
			t.Errorf("goes on as %+v, want %+v", p.prod, want)
		}
		tg.check(name, kinds)
	}
}

// TestForgottenGenerationReal is the same with a leader that forgets by itself.
func TestForgottenGenerationReal(t *testing.T) {
	kafka := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"producer.id.expiration.check.interval.ms": "200"}})
	admin := connect(t, kafka, Config{})
	name := admin.topic("t", 1, 1, nil)[0]
	p := admin.opened(admin.copier, name)
	p.Settled()
	p.prod.epoch = maxEpoch - 2
	kinds := admin.appendAll(p, 1, 4)
	admin.must(p.Hole(t.Context(), 2))
	kinds = append(kinds, false, false)
	kinds = append(kinds, admin.appendAll(p, 1, 4)...)
	admin.must(p.Flush(t.Context(), true))
	if p.prod.gen != 1 {
		t.Fatalf("%+v", p.prod)
	}
	forgotten := func() bool {
		var ps kadm.TopicsSet
		ps.Add("t", 0)
		got, err := admin.cluster.Admin().DescribeProducers(t.Context(), ps)
		admin.must(err)
		for _, ap := range got["t"].Partitions[0].ActiveProducers {
			if ap.ProducerID == p.prod.pid() {
				return false
			}
		}
		return len(got["t"].Partitions[0].ActiveProducers) == 1 // the generation before
	}
	await(t, forgotten)

	// A request of p is under way while it dies. Another process goes on, with the same batch.
	late := makeBatch(t, p.Position(), 10, kgo.NoCompression()).ForProduce(nil, p.prod.pid(), p.prod.epoch, p.prod.sequence)
	next := admin.opened(admin.newCopier(Config{}), name)
	kinds = append(kinds, admin.appendAll(next, 1, 10)...)
	admin.must(next.Flush(t.Context(), true))
	admin.produceLate(name, late)
	if end, _ := admin.ends(name); end != int64(len(kinds)) {
		t.Fatalf("the log ends at %d, want %d: the late request's records are there twice", end, len(kinds))
	}

	// Answers are lost, and the leader forgets before the batch would be sent again.
	lost := 0
	c := &cutter{key: kmsg.Produce, every: 3, after: true}
	tg := connect(t, kafka, Config{JoinBelow: -1, OnRetry: func(op string, _ error) {
		if op == "produce" {
			lost++
			await(t, forgotten)
		}
	}}, c.opt())
	last := tg.opened(tg.copier, name)
	kinds = append(kinds, tg.appendAll(last, 4, 4)...)
	tg.must(last.Flush(t.Context(), true))
	if lost == 0 {
		t.Error("no answer was lost")
	}
	tg.check(name, kinds)
}

// TestTwoLeaders: an end of a leader that is being replaced and a watermark of the next one are no
// answer.
func TestTwoLeaders(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 1, 10)
	tg.must(p.Flush(t.Context(), true))
	var left atomic.Int32
	left.Store(2)
	offsets(kf, func(replica int32) int64 {
		if replica == rawkafka.Debug && left.Load() > 0 {
			left.Add(-1)
			return 7
		}
		return -1
	})
	p = tg.opened(tg.newCopier(Config{}), name)
	if p.Position() != 10 || left.Load() != 0 {
		t.Fatalf("opened at %d, the log ends at 10; %d answers weren't asked for", p.Position(), left.Load())
	}
	kinds = append(kinds, tg.appendAll(p, 1, 3)...)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}

// TestLeaderChanged: a batch that was refused by one leader is looked up before another, or the
// same in another epoch, gets it.
func TestLeaderChanged(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 2})
	kf := testkafka.Kfake(kafka)
	tg, other := connect(t, kafka, Config{JoinBelow: -1}), connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 1, 4)
	tg.must(p.Flush(t.Context(), true))
	var sent atomic.Int32
	kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		switch sent.Add(1) {
		case 1: // the old leader has appended it, and says that it doesn't lead
			kf.SleepControl(func() {
				other.produceLate(name, req.Topics[0].Partitions[0].Records)
				kafka.MoveLeader(t, "t", 0, 1-kf.LeaderFor("t", 0))
			})
			return answerProduce(req, 6, -1), nil, true
		case 3: // the new one has forgotten the producer
			b, err := batch.Parse(req.Topics[0].Partitions[0].Records)
			tg.must(err)
			req.Topics[0].Partitions[0].Records = b.ForProduce(nil, -1, -1, -1)
		}
		return nil, nil, false
	})
	kinds = append(kinds, tg.appendAll(p, 1, 4)...)
	tg.must(p.Flush(t.Context(), true))
	if n := sent.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	tg.check(name, kinds)
}
