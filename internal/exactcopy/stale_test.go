package exactcopy

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// offsets answers ListOffsets for the topic t where it has something to say: below 0 kfake answers.
func offsets(kf *kfake.Cluster, answer func(replica int32) int64) {
	kf.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		rp := kmsg.NewListOffsetsResponseTopicPartition()
		if rp.Offset = answer(req.ReplicaID); rp.Offset < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic, rt.Partitions = "t", append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
}

// TestStaleLeader: a leader that was replaced while it stood still tells an end that the new one
// hasn't got. Whoever opens the partition waits until all replicas have the end that is told, and
// goes on at the shorter one.
func TestStaleLeader(t *testing.T) {
	for what, begin := range map[string]func(tg *target, p *Partition) []bool{
		"behind a marker": func(tg *target, p *Partition) []bool {
			kinds := tg.appendAll(p, 1, 10)
			tg.must(p.Hole(tg.Context(), 1))
			return append(kinds, false)
		},
		"behind data":      func(tg *target, p *Partition) []bool { return tg.appendAll(p, 1, 10) },
		"at the beginning": func(*target, *Partition) []bool { return nil },
	} {
		t.Run(what, func(t *testing.T) {
			kafka := testkafka.Fake(t, testkafka.Options{})
			tg := connect(t, kafka, Config{})
			name := tg.topic("t", 1, 1, nil)[0]
			p := tg.opened(tg.copier, name)
			kinds := begin(tg, p)
			tg.must(p.Flush(t.Context(), true))
			all := int64(len(kinds))
			var replaced atomic.Bool
			offsets(testkafka.Kfake(kafka), func(replica int32) int64 {
				if replica != rawkafka.Debug || replaced.Load() {
					return -1
				}
				return all + 1
			})
			var waits atomic.Int32
			next := tg.newCopier(Config{OnRetry: func(_ string, err error) {
				if waits.Add(1) == 3 && errors.Is(err, errNotReplicated) {
					replaced.Store(true)
				}
			}})
			p = tg.opened(next, name)
			if p.Position() != all || !replaced.Load() {
				t.Fatalf("opened at %d, want %d, after %d waits", p.Position(), all, waits.Load())
			}
			kinds = append(kinds, tg.appendAll(p, 2, 3)...)
			tg.must(p.Flush(t.Context(), true))
			tg.check(name, kinds)
		})
	}
}

// TestNextWaits: behind a batch that is appended, but not on all replicas, nothing is sent until it
// is: another leader might hold less, and take what comes behind it in its place. Where the log
// goes back, nothing is sent.
func TestNextWaits(t *testing.T) {
	for _, back := range []bool{false, true} {
		kafka := testkafka.Fake(t, testkafka.Options{})
		kf := testkafka.Kfake(kafka)
		tg := connect(t, kafka, Config{JoinBelow: -1})
		p := tg.opened(tg.copier, tg.topic("t", 1, 1, nil)[0])
		var sent, asked atomic.Int32
		var there atomic.Bool
		kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			if sent.Add(1) == 1 {
				return answerProduce(kreq.(*kmsg.ProduceRequest), 7, 0), nil, true
			}
			return answerProduce(kreq.(*kmsg.ProduceRequest), 0, 10), nil, true
		})
		offsets(kf, func(replica int32) int64 {
			asked.Add(1)
			switch {
			case there.Load() && back:
				return 0
			case there.Load(), replica == rawkafka.Debug:
				return 10
			}
			return 3
		})
		tg.must(p.Append(t.Context(), makeBatch(t, 0, 10, kgo.NoCompression())))
		tg.must(p.Append(t.Context(), makeBatch(t, 10, 10, kgo.NoCompression())))
		await(t, func() bool { return asked.Load() > 6 || sent.Load() > 1 })
		if sent.Load() != 1 {
			t.Errorf("%d requests before the first batch is on all replicas", sent.Load())
		}
		there.Store(true)
		err := p.Flush(t.Context(), false)
		if back != errors.Is(err, ErrUndecided) || !back && err != nil || back == (sent.Load() == 2) {
			t.Errorf("%v, %d requests", err, sent.Load())
		}
	}
}

// TestReplacedLeader: a leader writes a marker that no follower gets, stands still and is replaced.
// When it goes on, it answers a process that opens the partition with an end that is about to be
// cut away.
func TestReplacedLeader(t *testing.T) {
	if os.Getenv("KAFKADR_LONG") == "" {
		t.Skip("set KAFKADR_LONG=1")
	}
	kafka := testkafka.Real(t, testkafka.Options{Brokers: 3, Configs: map[string]string{"min.insync.replicas": "1", "replica.lag.time.max.ms": "60000"}})
	tg, late := connect(t, kafka, Config{}), connect(t, kafka, Config{Quiet: 1})
	name := tg.topic("t", 1, 3, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 1, 10)
	tg.must(p.Hole(t.Context(), 1))
	kinds = append(kinds, false)
	leader, epoch, err := late.cluster.Leader(t.Context(), name) // which late goes on to believe
	tg.must(err)
	_, err = late.copier.Method(t.Context())
	tg.must(err)
	followers := slices.DeleteFunc(slices.Clone(kafka.Brokers()), func(b int32) bool { return b == leader })
	for _, b := range followers {
		kafka.Pause(t, b)
	}
	tg.must(rawkafka.Sleep(t.Context(), time.Second)) // what the followers asked for before is answered, with nothing (replica.fetch.wait.max.ms)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, marker(p.prod.pid(), p.prod.epoch+1, name.Topic, 0))
	go func() { _, _ = tg.cluster.Request(t.Context(), leader, req) }()
	await(t, func() bool { end, watermark := tg.ends(name); return end == 12 && watermark == 11 })
	kafka.Pause(t, leader)
	for _, b := range followers {
		kafka.Resume(t, b)
	}
	await(t, func() bool { // another leads
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		topics, err := tg.cluster.Topics(ctx, name.Topic)
		return err == nil && len(topics[name.Topic].Partitions) == 1 && topics[name.Topic].Partitions[0].Leader != leader && topics[name.Topic].Partitions[0].LeaderEpoch > epoch
	})
	opened := make(chan *Partition)
	go func() {
		p, err := late.copier.Open(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		opened <- p
	}()
	tg.must(rawkafka.Sleep(t.Context(), 200*time.Millisecond)) // its first request lies in the old leader's socket: the fault's instant
	kafka.Resume(t, leader)
	if p = <-opened; p == nil {
		return
	}
	if p.Position() == 12 { // a follower has got it all the same
		t.Log("the marker isn't lost")
		kinds = append(kinds, false)
	}
	kinds = append(kinds, tg.appendAll(p, 2, 3)...)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}
