package mirror

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// spoil has a cluster answer what is produced to a topic with an error, until the function that it
// returns is called. refused counts.
func spoil(cl testkafka.Cluster, topic string, with *kerr.Error) (refused *atomic.Int64, heal func()) {
	refused = new(atomic.Int64)
	var healed atomic.Bool
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		asked := req.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		hit := false
		for _, rt := range asked.Topics {
			name := rt.Topic
			if name == "" {
				name = k.TopicIDInfo(rt.TopicID).Topic
			}
			hit = hit || name == topic
			at := kmsg.NewProduceResponseTopic()
			at.Topic, at.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				ap := kmsg.NewProduceResponseTopicPartition()
				ap.Partition, ap.ErrorCode, ap.BaseOffset = rp.Partition, with.Code, -1
				at.Partitions = append(at.Partitions, ap)
			}
			resp.Topics = append(resp.Topics, at)
		}
		if healed.Load() || !hit {
			return nil, nil, false
		}
		refused.Add(1)
		return resp, nil, true
	})
	return refused, func() { healed.Store(true) }
}

// The standby's disk fails, as a broker whose disk is full or offline says, for a short time and
// for a long one. The topic isn't copied meanwhile, which is said where it lasts; the others go on;
// and then it is copied without anybody's help.
func TestStandbyDisk(t *testing.T) {
	for _, lasts := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		t.Run(lasts.String(), func(t *testing.T) {
			simulated(t, 1, func(t *testing.T, src, dst testkafka.Cluster) {
				create(t, src, 1, nil, "bad", "good")
				produce(t, src, "bad", 1, 10)
				var retries atomic.Int64
				cfg := Config{Source: src.Opts(), Target: dst.Opts(), Hooks: Hooks{OnRetry: func(string, error) { retries.Add(1) }}}
				r := start(t, cfg)
				r.caughtUp(src, "bad", "good")
				refused, heal := spoil(dst, "bad", kerr.KafkaStorageError)
				transaction(t, src, "bad", 3, false)
				produce(t, src, "bad", 1, 10)
				pass(t, lasts)
				produce(t, src, "good", 1, 10)
				r.caughtUp(src, "good")
				if refused.Load() == 0 || retries.Load() == 0 {
					t.Errorf("%d requests refused, %d retries", refused.Load(), retries.Load())
				}
				s := r.Status()
				if p, _ := find(s, "bad", 0); p.Durable >= 24 || p.LagRecords == 0 || p.State == Stopped {
					t.Errorf("%+v", p)
				}
				long := int64(0)
				if lasts > 2*time.Minute {
					long = 1
				}
				if s.Events[Failed] != long {
					t.Errorf("%d events: %v", s.Events[Failed], s.Recent)
				}
				heal()
				r.caughtUp(src, "bad")
				pass(t, 2*time.Second)
				if s = r.Status(); s.Stopped != 0 || s.LagRecords != 0 || s.Events[Recovered] != long {
					t.Errorf("%+v %v", s.Totals, s.Recent)
				}
				same(t, src, dst, []string{"bad", "good"})
				r.stop()
			})
		})
	}
}

// A batch that the standby doesn't take for its length stops its partition; it is tried again each
// half minute, which isn't said again, and goes on when it is taken.
func TestTooLarge(t *testing.T) {
	simulated(t, 1, func(t *testing.T, src, dst testkafka.Cluster) {
		create(t, src, 1, nil, "bad", "good")
		produce(t, src, "bad", 1, 10)
		r := start(t, Config{Source: src.Opts(), Target: dst.Opts()})
		r.caughtUp(src, "bad", "good")
		refused, heal := spoil(dst, "bad", kerr.MessageTooLarge)
		produce(t, src, "bad", 1, 10)
		ev := r.stopsWith(TooLarge, "bad")
		if ev.Policy != Retry || ev.Offset != 10 || ev.Detail == "" {
			t.Errorf("%+v", ev)
		}
		before := refused.Load()
		pass(t, 5*time.Minute)
		if n := refused.Load(); n < before+5 {
			t.Errorf("refused %d times, then %d", before, n)
		}
		produce(t, src, "good", 1, 10)
		r.caughtUp(src, "good")
		if s := r.Status(); s.Events[TooLarge] != 1 || s.Events[Recovered] != 0 {
			t.Error(s.Recent)
		}
		heal()
		pass(t, time.Minute)
		r.caughtUp(src, "bad")
		if s := r.Status(); s.Events[TooLarge] != 1 || s.Events[Recovered] != 1 || s.Stopped != 0 {
			t.Error(s.Recent)
		}
		same(t, src, dst, []string{"bad", "good"})
		r.stop()
	})
}
