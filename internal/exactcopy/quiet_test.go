package exactcopy

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestQuiet: how long holes wait, in simulated time.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(kafka)
		tg := connect(t, kafka, Config{Quiet: 30 * time.Second})
		name := tg.topic("t", 1, 1, nil)[0]
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		p := tg.opened(tg.copier, name)
		p.Settled()
		hole := func() { tg.must(p.Hole(t.Context(), 1)) }
		if d := took(hole); d > time.Second {
			t.Errorf("in a new log: %v", d)
		}
		tg.appendAll(p, 1, 2)
		if d := took(hole); d > time.Second {
			t.Errorf("behind data: %v", d)
		}
		p = tg.opened(tg.newCopier(Config{}), name)
		if d := took(hole); d < 5*time.Second || d > 10*time.Second {
			t.Errorf("first after Open: %v", d)
		}
		p = tg.opened(tg.newCopier(Config{}), name)
		p.Settled()
		if d := took(hole); d > time.Second {
			t.Errorf("first after Open, settled: %v", d)
		}
		p = tg.opened(tg.newCopier(Config{}), name)
		tg.appendAll(p, 1, 2)
		if d := took(hole); d > time.Second {
			t.Errorf("behind data after Open: %v", d)
		}
		kf.ControlKey(int16(kmsg.WriteTxnMarkers), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("cut"), true
		})
		if d := took(hole); d < 30*time.Second || d > 40*time.Second {
			t.Errorf("behind a lost answer: %v", d)
		}
		tg.must(p.Flush(t.Context(), true))
		end, _ := tg.ends(name)
		if end != p.Position() || end != 10 {
			t.Errorf("true end %d, position %d", end, p.Position())
		}
	})
}

// TestAtOnce: what is appended to an idle partition goes out at once, in simulated time.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		tg := connect(t, kafka, Config{})
		p := tg.opened(tg.copier, tg.topic("t", 1, 1, nil)[0])
		for range 3 {
			tg.appendAll(p, 1, 2)
			tg.must(p.Flush(t.Context(), true))
			tg.must(rawkafka.Sleep(t.Context(), time.Hour))
			start := time.Now()
			tg.appendAll(p, 1, 2)
			tg.must(p.Flush(t.Context(), true))
			if d := time.Since(start); d > time.Millisecond {
				t.Errorf("it took %v", d)
			}
		}
	})
}

// TestLimiter: the limiter bounds what is produced, in simulated time; larger batches than its
// burst pass.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		tg := connect(t, kafka, Config{Limiter: rate.NewLimiter(1000, 100)})
		p := tg.opened(tg.copier, tg.topic("t", 1, 1, nil)[0])
		start, bytes := time.Now(), 0
		for range 20 {
			b := makeBatch(t, p.Position(), 10, kgo.NoCompression())
			bytes += b.Len()
			tg.must(p.Append(t.Context(), b))
		}
		tg.must(p.Flush(t.Context(), true))
		want := time.Duration(bytes-100) * time.Millisecond
		if d := time.Since(start); d < want || d > want+time.Second {
			t.Errorf("took %v for %d bytes, want %v", d, bytes, want)
		}
	})
}

// TestLateInEmptyLog: a process dies with the markers of a log's first hole under way. The next one
// waits for them, as it does further behind.
func TestLateInEmptyLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(kafka)
		dead, tg := connect(t, kafka, Config{}), connect(t, kafka, Config{})
		name := tg.topic("t", 1, 1, nil)[0]
		for _, one := range []*target{dead, tg} {
			_, err := one.copier.Method(t.Context())
			tg.must(err)
		}
		var sent atomic.Int32
		kf.ControlKey(int16(kmsg.WriteTxnMarkers), func(kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			if sent.Add(1) == 1 {
				kf.SleepControl(func() { _ = rawkafka.Sleep(t.Context(), 2*time.Second) })
			}
			return nil, nil, false
		})
		late := dead.opened(dead.copier, name)
		late.Settled()
		go func() { _ = late.Hole(t.Context(), 3) }()
		_ = rawkafka.Sleep(t.Context(), time.Second)
		p := tg.opened(tg.copier, name)
		tg.must(p.Hole(t.Context(), 3))
		_ = rawkafka.Sleep(t.Context(), 5*time.Second)
		kinds := append(make([]bool, 3), tg.appendAll(p, 1, 2)...)
		tg.must(p.Flush(t.Context(), true))
		tg.check(name, kinds)
	})
}
