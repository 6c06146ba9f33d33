package exactcopy

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestMayHole: the right to a hole counts when its markers are written, not when Hole is called;
// one that isn't confirmed in the line is asked for again.
func TestMayHole(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	gone := errors.New("gone")
	var lost atomic.Bool
	var asked atomic.Int32
	tg := connect(t, kafka, Config{MayHole: func(ctx context.Context, name rawkafka.Partition) error {
		switch {
		case lost.Load():
			return gone
		case name.Topic == "t" && asked.Add(1) == 3: // the one in the line
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 1, 3)
	tg.must(p.Hole(t.Context(), 2))
	kinds = append(kinds, false, false)
	if asked.Load() < 5 {
		t.Errorf("asked %d times", asked.Load())
	}
	sent, release := make(chan struct{}), make(chan struct{})
	kf.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		kf.SleepControl(func() { close(sent); <-release })
		return nil, nil, false
	})
	var markers atomic.Int32
	kf.ControlKey(int16(kmsg.WriteTxnMarkers), func(kmsg.Request) (kmsg.Response, error, bool) {
		markers.Add(1)
		return nil, nil, false
	})
	tg.must(p.Append(t.Context(), makeBatch(t, 5, 3, kgo.NoCompression())))
	done := make(chan error)
	go func() { done <- p.Hole(t.Context(), 1) }()
	<-sent
	lost.Store(true)
	close(release)
	if err := <-done; !errors.Is(err, gone) || markers.Load() != 0 {
		t.Errorf("%v, %d marker requests", err, markers.Load())
	}
	tg.check(name, append(kinds, true, true, true))
}
