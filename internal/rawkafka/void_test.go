package rawkafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

var compacts = rawkafka.Log{Compacts: true}

// Where the policy compacts, a broker that has no data below the last stable offset is believed,
// but not at once; what comes behind is read on.
func TestFetchVoid(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 20)
	rc := connect(t, c, rawkafka.Config{})
	asked, alone := 0, 0
	testkafka.AnswerEmpty(c, 10, func(req *kmsg.FetchRequest) bool {
		p := req.Topics[0].Partitions[0]
		if p.FetchOffset != 3 {
			return false
		}
		asked++
		if req.MaxWaitMillis == 0 {
			alone++
		}
		return true
	})
	h := &voids{voids: make(chan rawkafka.Fetched, 10)}
	f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{}, h)
	began := time.Now()
	f.Set(partition(t, rc, "orders", 0), rawkafka.Position{Offset: 3, CurrentEpoch: -1, LastEpoch: -1, Log: compacts})
	stop := run(t, f)
	got := h.next(t, 1)
	took := time.Since(began)
	if got.VoidTo != 10 || got.Position != 3 || len(got.Batches) > 0 {
		t.Errorf("%+v", got)
	}
	if took < 3*time.Second || alone < 4 {
		t.Errorf("believed after %s and %d answers, %d of them asked for alone", took, asked, alone)
	}
	for data := h.next(t, 0); ; data = h.next(t, 0) {
		if len(data.Batches) > 0 {
			if data.Position != 10 {
				t.Errorf("read on at %d", data.Position)
			}
			break
		}
	}
	stop()
}

// Where it doesn't, or where the data may be elsewhere, an empty answer proves nothing: the data is
// read once it comes.
func TestFetchNotVoid(t *testing.T) {
	for name, log := range map[string]rawkafka.Log{"delete": {}, "tiered": {Remote: true}, "once": compacts} {
		t.Run(name, func(t *testing.T) {
			c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
			produce(t, c, "orders", 0, 20)
			rc := connect(t, c, rawkafka.Config{})
			left := 3
			testkafka.AnswerEmpty(c, 20, func(*kmsg.FetchRequest) bool {
				left--
				return left >= 0
			})
			h := &voids{voids: make(chan rawkafka.Fetched, 100)}
			f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{}, h)
			f.Set(partition(t, rc, "orders", 0), rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1, Log: log})
			stop := run(t, f)
			for got := h.next(t, 0); len(got.Batches) == 0; got = h.next(t, 0) {
				if got.VoidTo != 0 {
					t.Fatalf("%+v", got)
				}
			}
			stop()
		})
	}
}

// It isn't asked for without end.
func TestFetchEmptyForLong(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 20)
	rc := connect(t, c, rawkafka.Config{RetryFor: 600 * time.Millisecond})
	testkafka.AnswerEmpty(c, 20, func(*kmsg.FetchRequest) bool { return true })
	h := &voids{voids: make(chan rawkafka.Fetched, 100), failed: make(chan error, 1)}
	f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{}, h)
	p := partition(t, rc, "orders", 0)
	f.Set(p, rawkafka.Position{Offset: 5, CurrentEpoch: -1, LastEpoch: -1, Log: rawkafka.Log{Remote: true}})
	stop := run(t, f)
	err := <-h.failed
	stop()
	var empty *rawkafka.EmptyError
	if !errors.As(err, &empty) || empty.Partition != p || empty.Offset != 5 || empty.Stable != 20 || !empty.Log.Remote {
		t.Errorf("%v", err)
	}
}

// A partition in tiered storage that takes long holds up no other of its broker.
func TestFetchSlowRemote(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders", "tiered"))
	produce(t, c, "tiered", 0, 1)
	rc := connect(t, c, rawkafka.Config{})
	slow, quick := partition(t, rc, "tiered", 0), partition(t, rc, "orders", 0)
	release := make(chan struct{})
	testkafka.AnswerEmpty(c, 1, func(req *kmsg.FetchRequest) bool {
		if len(req.Topics) == 1 && req.Topics[0].TopicID == slow.TopicID {
			c.SleepControl(func() { <-release })
		}
		return false
	})
	f, got := fetch(t, rc, rawkafka.FetchConfig{})
	f.Set(slow, rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1, Log: rawkafka.Log{Remote: true}})
	f.Set(quick, rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1})
	for i := range int64(5) {
		produce(t, c, "orders", 0, 1)
		got.until(t, func() bool { return got.next[quick] == i+1 && got.next[slow] == 0 })
	}
	close(release)
	got.until(t, func() bool { return got.next[slow] == 1 })
}

// Read believes as little as a Fetcher.
func TestReadEmpty(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 20)
	p := partition(t, connect(t, c, rawkafka.Config{}), "orders", 0)
	empty, n := 1, 0
	testkafka.AnswerEmpty(c, 20, func(*kmsg.FetchRequest) bool {
		n++
		return n <= empty
	})
	rc := connect(t, c, rawkafka.Config{RetryFor: time.Second})
	a, void, err := rc.Read(t.Context(), p, 0, rawkafka.ReadConfig{})
	if err != nil || void || len(a.RecordBatches) == 0 {
		t.Errorf("%d bytes, %t, %v", len(a.RecordBatches), void, err)
	}
	if a, void, err = rc.Read(t.Context(), p, 20, rawkafka.ReadConfig{}); err != nil || void || len(a.RecordBatches) > 0 {
		t.Errorf("at the end: %d bytes, %t, %v", len(a.RecordBatches), void, err)
	}
	empty = 1000
	var ee *rawkafka.EmptyError
	if _, void, err = rc.Read(t.Context(), p, 0, rawkafka.ReadConfig{}); !errors.As(err, &ee) || void {
		t.Errorf("%t, %v", void, err)
	}
	patient := connect(t, c, rawkafka.Config{})
	if _, void, err = patient.Read(t.Context(), p, 0, rawkafka.ReadConfig{Log: &compacts}); err != nil || !void {
		t.Errorf("compacted: %t, %v", void, err)
	}
}

func TestLogOf(t *testing.T) {
	for _, c := range []struct {
		policy, remote string
		want           rawkafka.Log
	}{
		{"delete", "false", rawkafka.Log{}},
		{"delete", "", rawkafka.Log{}}, // a broker that has no tiered storage
		{"compact", "", compacts},
		{"compact,delete", "false", compacts},
		{"delete", "true", rawkafka.Log{Remote: true}},
		{"", "", rawkafka.Log{Remote: true}}, // not to be read
	} {
		got := rawkafka.LogOf(func(key string) string {
			return map[string]string{"cleanup.policy": c.policy, "remote.storage.enable": c.remote}[key]
		})
		if got != c.want {
			t.Errorf("%q, %q: %+v", c.policy, c.remote, got)
		}
	}
}

// A leader that sends its readers to another replica answers without data, but with the last stable
// offset.
func TestFetchNotVoidWhereSentElsewhere(t *testing.T) {
	c := fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "orders"))
	rc := connect(t, c, rawkafka.Config{})
	p := partition(t, rc, "orders", 0)
	leader, _, err := rc.Leader(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := damaged(req.(*kmsg.FetchRequest), make([]byte, 1)).(*kmsg.FetchResponse)
		a := &resp.Topics[0].Partitions[0]
		a.RecordBatches = nil
		if c.CurrentNode() == leader {
			a.PreferredReadReplica = 1 - leader
		}
		return resp, nil, true
	})
	h := &voids{voids: make(chan rawkafka.Fetched, 100)}
	f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{Rack: "here"}, h)
	f.Set(p, rawkafka.Position{Offset: 3, CurrentEpoch: -1, LastEpoch: -1, Log: rawkafka.Log{Compacts: true}})
	stop := run(t, f)
	got := h.next(t, 0)
	stop()
	if got.VoidTo != 0 {
		t.Errorf("%+v", got)
	}
}

// run runs f until the function that it returns is called.
func run(t testing.TB, f *rawkafka.Fetcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

// voids takes answers, and errors.
type voids struct {
	voids  chan rawkafka.Fetched
	failed chan error
}

// next is the next answer, of those that say that something is void if atLeast is 1.
func (h *voids) next(t testing.TB, atLeast int64) rawkafka.Fetched {
	t.Helper()
	for {
		select {
		case f := <-h.voids:
			if f.VoidTo >= atLeast {
				return f
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing comes")
		}
	}
}

func (h *voids) Fetched(_ context.Context, f rawkafka.Fetched) error {
	select {
	case h.voids <- f:
	default:
	}
	return nil
}

func (h *voids) Failed(_ rawkafka.Partition, err error) {
	select {
	case h.failed <- err:
	default:
	}
}
