package mirror

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// brief is a lock that is held once, and then another's.
type brief struct{ asked atomic.Int32 }

func (*brief) Claim(context.Context, ...kadm.TopicID) (bool, error) { return false, nil }

func (l *brief) Held(context.Context, kadm.TopicID) error {
	if l.asked.Add(1) > 1 {
		return copylock.ErrTakenOver
	}
	return nil
}

func (*brief) Run(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// gated is a cluster's lock whose answer may be held up.
type gated struct {
	locks
	gate chan struct{} // full while it is closed
}

// slowLocks are the target's own, for a mirror of that configuration.
func slowLocks(t testing.TB, target testkafka.Cluster, cfg Config) *gated {
	t.Helper()
	cl, err := rawkafka.Connect(t.Context(), target.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &gated{copylock.New(cl, copylock.Config{Lease: cfg.tuning.lease}), make(chan struct{}, 1)}
}

func (l *gated) close() { l.gate <- struct{}{} }
func (l *gated) open()  { <-l.gate }

func (l *gated) Held(ctx context.Context, topic kadm.TopicID) error {
	select {
	case l.gate <- struct{}{}:
		<-l.gate
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return l.locks.Held(ctx, topic)
}

// A lock that is lost between the decision to make a hole and its markers: none are written.
func TestLostBeforeMarkers(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 5)
	transaction(t, src, "t", 3, false)
	cfg := quickConfig(src, dst)
	cfg.tuning.locks = &brief{}
	r := start(t, cfg)
	r.stopsWith(TakenOver, "t")
	ends, err := kadm.NewClient(testkafka.Client(t, dst)).ListEndOffsets(t.Context(), "t")
	if o, _ := ends.Lookup("t", 0); err != nil || o.Offset != 5 {
		t.Errorf("the standby ends at %d, want 5: %v", o.Offset, err)
	}
	r.stop()
}
