package mirror

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// What is appended and doesn't become durable is an event after a minute without any progress,
// once, and again once it had become durable.
func TestUnderReplicated(t *testing.T) {
	cfg := Config{Logger: slog.New(slog.DiscardHandler)}
	p := &part{topic: &topic{pair: pair{source: "t"}}, Following: isRead(), copy: copyAt(10, 5), stuckAt: -1}
	e := &engine{flow: &flow{cfg: cfg, hooks: newHooks(cfg)}, parts: map[rawkafka.Partition]*part{{Topic: "t"}: p}, moved: make(chan struct{}), memory: newMemory(1000)}
	now := time.Now()
	for i, step := range []struct {
		after             time.Duration
		position, durable int64
		events            int64
	}{
		{0, 10, 5, 0}, {stuckFor - time.Second, 10, 5, 0}, {2 * time.Second, 20, 6, 0}, {stuckFor - time.Second, 20, 6, 0}, {2 * time.Second, 20, 6, 1},
		{stuckFor, 20, 6, 1}, {stuckFor, 20, 20, 1}, {0, 30, 20, 1}, {stuckFor + time.Second, 30, 20, 2},
	} {
		p.copy.Begin(step.position, step.durable)
		now = now.Add(step.after)
		e.lookForStuck(now)
		if n := e.hooks.counts[UnderReplicated]; n != step.events {
			t.Fatalf("step %d: %d events, want %d", i, n, step.events)
		}
	}
	if ev := p.last; ev == nil || ev.Offset != 20 || ev.Other != 30 || ev.Policy != "" || p.state() != Copying {
		t.Errorf("%+v, %s", ev, p.state())
	}
}

// Holes whose right nobody gives out are waited for: that is said after a minute, and they are made
// once the coordinator is there again.
func TestCoordinatorAway(t *testing.T) {
	simulated(t, 1, func(t *testing.T, src, dst testkafka.Cluster) {
		create(t, src, 1, nil, "t")
		produce(t, src, "t", 1, 5)
		r := start(t, Config{Source: src.Opts(), Target: dst.Opts()})
		r.caughtUp(src, "t")
		kf := testkafka.Kfake(dst)
		var away atomic.Bool
		away.Store(true)
		kf.ControlKey(int16(kmsg.FindCoordinator), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			req := kreq.(*kmsg.FindCoordinatorRequest)
			if req.CoordinatorType != 1 || !away.Load() {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
			resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
			for _, key := range req.CoordinatorKeys {
				c := kmsg.NewFindCoordinatorResponseCoordinator()
				c.Key, c.ErrorCode = key, kerr.CoordinatorNotAvailable.Code
				resp.Coordinators = append(resp.Coordinators, c)
			}
			return resp, nil, true
		})
		transaction(t, src, "t", 3, false)
		pass(t, 50*time.Second)
		if n := r.Status().Events[CoordinatorAway]; n != 0 {
			t.Errorf("%d events before the minute is over", n)
		}
		pass(t, 3*time.Minute)
		if n := r.Status().Events[CoordinatorAway]; n != 1 {
			t.Errorf("%d events, want 1: %s", n, short(r.Status()))
		}
		away.Store(false)
		r.caughtUp(src, "t")
		same(t, src, dst, []string{"t"})
		r.stop()
	})
}
