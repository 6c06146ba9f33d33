package mirror

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// An empty answer below the last stable offset is no hole of a topic that isn't compacted.
func TestVoidOnce(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 100)
	var n atomic.Int32
	testkafka.AnswerEmpty(testkafka.Kfake(src), 100, func(*kmsg.FetchRequest) bool { return n.Add(1) <= 3 })
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"t"})
	if n.Load() < 4 {
		t.Errorf("%d fetches", n.Load())
	}
}

// Nor does it say that the source has another log than the one that was mirrored.
func TestVoidWhileComparing(t *testing.T) {
	src, dst := pairOf(t, "t")
	var n atomic.Int32
	testkafka.AnswerEmpty(testkafka.Kfake(src), 20, func(*kmsg.FetchRequest) bool { return n.Add(1) <= 3 })
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"t"})
	if n.Load() < 4 {
		t.Errorf("%d fetches", n.Load())
	}
}

// A log that compares for ever without data is no other log either.
func TestVoidForLongWhileComparing(t *testing.T) {
	src, dst := pairOf(t, "t")
	testkafka.AnswerEmpty(testkafka.Kfake(src), 20, func(*kmsg.FetchRequest) bool { return true })
	cfg := quickConfig(src, dst)
	cfg.Once, cfg.tuning.retryFor = true, time.Second
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Run(t.Context())
	var ee *EventError
	if !errors.As(err, &ee) || ee.Event.Kind != NothingRead || ee.Event.Topic != "t" {
		t.Errorf("%v", err)
	}
}

// What is below the last stable offset and can't be read is said, with both offsets; the policy may
// have it be a hole, unless it may be in tiered storage.
func TestNothingRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		denied bool // the source's configs
		hole   bool
	}{{"retry", Retry, false, false}, {"stop", Stop, false, false}, {"go on", GoOn, false, true}, {"go on, configs unread", GoOn, true, false}} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
			create(t, src, 1, nil, "t")
			produce(t, src, "t", 1, 10)
			if c.denied {
				denyConfigs(src)
			}
			testkafka.AnswerEmpty(testkafka.Kfake(src), 10, func(*kmsg.FetchRequest) bool { return true })
			var said atomic.Pointer[Event]
			cfg := quickConfig(src, dst)
			cfg.tuning.retryFor, cfg.Policies = time.Second, Policies{NothingRead: c.policy}
			cfg.Hooks.OnEvent = func(ev Event) {
				if ev.Kind == NothingRead {
					said.Store(&ev)
				}
			}
			r := start(t, cfg)
			r.until("the event", func(Status) bool { return said.Load() != nil })
			if ev := said.Load(); ev.Topic != "t" || ev.Offset != 0 || ev.Other != 10 || ev.Policy != c.policy {
				t.Errorf("%+v", ev)
			}
			if c.hole {
				r.until("the hole", func(s Status) bool { p, _ := find(s, "t", 0); return p.Durable == 10 })
				return
			}
			if c.policy != GoOn {
				r.stopsWith(NothingRead, "t")
			}
			if p, _ := find(r.Status(), "t", 0); p.Position > 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

// denyConfigs has a cluster answer that configs of topics may not be read.
func denyConfigs(cl testkafka.Cluster) {
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.DescribeConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.DescribeConfigsRequest)
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, r := range req.Resources {
			rr := kmsg.NewDescribeConfigsResponseResource()
			rr.ResourceType, rr.ResourceName, rr.ErrorCode = r.ResourceType, r.ResourceName, kerr.TopicAuthorizationFailed.Code
			resp.Resources = append(resp.Resources, rr)
		}
		return resp, nil, true
	})
}
