package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// stopsWith waits until a partition has stopped with an event of the kind, and the partition beside
// it still is mirrored.
func (r *running) stopsWith(kind EventKind, topic string) Event {
	r.Helper()
	var ev Event
	r.until(string(kind), func(s Status) bool {
		p, ok := find(s, topic, 0)
		if ok && p.State == Stopped && p.Event != nil {
			ev = *p.Event
		}
		return ok && p.State == Stopped
	})
	if ev.Kind != kind {
		r.Fatalf("stopped with %s, want %s", ev, kind)
	}
	return ev
}

// pairOf are a source with topics of some records, and a standby that a mirror has copied them to.
func pairOf(t *testing.T, topics ...string) (src, dst testkafka.Cluster) {
	t.Helper()
	src, dst = testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, topics...)
	for _, topic := range topics {
		produce(t, src, topic, 1, 20)
	}
	once(t, quickConfig(src, dst))
	return src, dst
}

func deleteTopic(t testing.TB, cl testkafka.Cluster, topic string) {
	t.Helper()
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}

func deleteBeforeAt(t testing.TB, cl testkafka.Cluster, topic string, at int64) {
	t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, At: at})
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).DeleteRecords(t.Context(), os); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t testing.TB, cl testkafka.Cluster, topic string) *testkafka.Content {
	t.Helper()
	c, err := testkafka.ReadSpec{Opts: cl.Opts(), Topics: []string{topic}, Uncommitted: true}.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each of these happens while the mirror runs, and while it doesn't. The partition stops, its copy
// stays as it was, and the other topic goes on.
func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   EventKind
		change func(*testing.T, testkafka.Cluster, testkafka.Cluster)
		down   bool // happens only to a mirror that was down
	}{
		{name: "recreated", kind: TopicRecreated, change: func(t *testing.T, src, _ testkafka.Cluster) {
			deleteTopic(t, src, "bad")
			create(t, src, 1, nil, "bad")
			produce(t, src, "bad", 1, 50)
		}},
		{name: "foreign", kind: ForeignWriter, change: func(t *testing.T, src, dst testkafka.Cluster) {
			produce(t, dst, "bad", 1, 1)
		}},
		{name: "foreign while the source grows", kind: ForeignWriter, down: true, change: func(t *testing.T, src, dst testkafka.Cluster) {
			produce(t, dst, "bad", 1, 1)
			produce(t, src, "bad", 1, 5)
		}},
		{name: "overtaken", kind: Overtaken, down: true, change: func(t *testing.T, src, _ testkafka.Cluster) {
			produce(t, src, "bad", 1, 30)
			deleteBeforeAt(t, src, "bad", 30)
		}},
		{name: "standby ahead", kind: StandbyAhead, change: func(t *testing.T, _, dst testkafka.Cluster) { mark(t, dst, "bad") }},
		{name: "shifted", kind: Shifted, down: true, change: func(t *testing.T, src, dst testkafka.Cluster) {
			mark(t, dst, "bad")
			produce(t, src, "bad", 1, 3)
		}},
		{name: "standby deleted", kind: StandbyDeleted, change: func(t *testing.T, _, dst testkafka.Cluster) { deleteTopic(t, dst, "bad") }},
	} {
		for _, down := range []bool{false, true} {
			if tt.down && !down || tt.kind == StandbyDeleted && down {
				continue
			}
			t.Run(tt.name+map[bool]string{true: " while down"}[down], func(t *testing.T) {
				src, dst := pairOf(t, "bad", "good")
				var r *running
				if !down {
					r = start(t, quickConfig(src, dst))
					r.caughtUp(src, "bad", "good")
				}
				tt.change(t, src, dst)
				var before *testkafka.Content
				if tt.kind != StandbyDeleted {
					before = contentOf(t, dst, "bad")
				}
				if down {
					r = start(t, quickConfig(src, dst))
				}
				ev := r.stopsWith(tt.kind, "bad")
				if ev.Policy != Stop || ev.Topic != "bad" || ev.Target != "bad" || ev.Detail == "" || ev.Time.IsZero() {
					t.Errorf("%+v", ev)
				}
				produce(t, src, "good", 1, 10)
				r.caughtUp(src, "good")
				same(t, src, dst, []string{"good"})
				if before != nil {
					for _, d := range testkafka.Equal(before, contentOf(t, dst, "bad")) {
						t.Errorf("a stopped copy was changed: %s", d)
					}
				}
				if tt.kind != StandbyDeleted {
					neverExact(t, src, dst, "bad")
				}
				if s := r.Status(); s.Stopped != 1 || s.Events[tt.kind] != 1 {
					t.Errorf("%d stopped, %d events, %v", s.Stopped, s.Events[tt.kind], s.Recent)
				}
				r.stop()
			})
		}
	}
}

// neverExact waits until nobody is told that a copy is exact.
func neverExact(t *testing.T, src, dst testkafka.Cluster, topic string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := translate(t, src, dst, topic)
		if got.How == offsets.HowUnknown && strings.Contains(got.Evidence, "stopped it") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", got)
		}
		pass(t, 50*time.Millisecond)
	}
}

// translate asks the standby's ledger for offset 3 of a topic.
func translate(t *testing.T, src, dst testkafka.Cluster, topic string) offsets.Translated {
	t.Helper()
	s, err := offsets.Open(t.Context(), testkafka.Client(t, dst), src.ID())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Translate(t.Context(), topic, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Where the copy was deleted to begin anew, Retry does, without a new start of the mirror.
func TestRetryAnew(t *testing.T) {
	for _, kind := range []EventKind{TopicRecreated, StandbyDeleted} {
		t.Run(string(kind), func(t *testing.T) {
			src, dst := pairOf(t, "bad")
			r := start(t, quickConfig(src, dst))
			r.caughtUp(src, "bad")
			if kind == TopicRecreated {
				deleteTopic(t, src, "bad")
				create(t, src, 1, nil, "bad")
			} else {
				deleteTopic(t, dst, "bad")
			}
			r.stopsWith(kind, "bad")
			if kind == TopicRecreated {
				deleteTopic(t, dst, "bad")
			}
			produce(t, src, "bad", 1, 50)
			r.Retry("bad")
			r.caughtUp(src, "bad")
			same(t, src, dst, []string{"bad"})
			r.stop()
			if got := translate(t, src, dst, "bad"); got.How != offsets.HowExact || got.Offset != 3 {
				t.Errorf("mirrored again: %+v", got)
			}
		})
	}
}

// A Once that had to leave a partition says so.
func TestOnceStopped(t *testing.T) {
	src, dst := pairOf(t, "bad", "good")
	produce(t, dst, "bad", 1, 1)
	produce(t, src, "good", 1, 1)
	cfg := quickConfig(src, dst)
	cfg.Once = true
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var stopped *StoppedError
	var ev *EventError
	if err := m.Run(t.Context()); !errors.As(err, &stopped) || !errors.As(err, &ev) || ev.Event.Kind != ForeignWriter || ev.Event.Topic != "bad" {
		t.Fatal(err)
	}
	same(t, src, dst, []string{"good"})
}

// Policies: what can be done exactly is.
func TestPolicies(t *testing.T) {
	t.Run("overtaken", func(t *testing.T) {
		src, dst := pairOf(t, "t")
		produce(t, src, "t", 1, 30)
		deleteBeforeAt(t, src, "t", 30)
		cfg := quickConfig(src, dst)
		cfg.Policies = Policies{Overtaken: GoOn}
		m := once(t, cfg)
		same(t, src, dst, []string{"t"})
		if s := m.Status(); s.Events[Overtaken] != 1 || s.Recent[0].Offset != 20 || s.Recent[0].Other != 30 || s.Recent[0].Policy != GoOn {
			t.Error(s.Recent)
		}
	})
	t.Run("recreated", func(t *testing.T) {
		src, dst := pairOf(t, "t")
		cfg := quickConfig(src, dst)
		cfg.Policies = Policies{TopicRecreated: Recreate}
		for _, down := range []bool{false, true} {
			r := start(t, cfg)
			r.caughtUp(src, "t")
			if down {
				r.stop()
			}
			deleteTopic(t, src, "t")
			create(t, src, 1, nil, "t")
			produce(t, src, "t", 1, 7)
			if down {
				r = start(t, cfg)
			}
			testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
				if s := r.Status(); s.Events[TopicRecreated] != 1 || s.Copying != 1 {
					return errors.New("not yet")
				}
				return nil
			})
			r.caughtUp(src, "t")
			same(t, src, dst, []string{"t"})
			r.stop()
		}
	})
	t.Run("deleted", func(t *testing.T) {
		for policy, kept := range map[Policy]bool{Keep: true, Delete: false} {
			src, dst := pairOf(t, "t", "u")
			cfg := quickConfig(src, dst)
			cfg.Policies = Policies{TopicDeleted: policy}
			r := start(t, cfg)
			r.caughtUp(src, "t", "u")
			deleteTopic(t, src, "t")
			r.until("the event", func(s Status) bool { return s.Events[TopicDeleted] == 1 && len(s.Topics) == 1 })
			settled := func(ctx context.Context) error {
				topics, err := kadm.NewClient(testkafka.Client(t, dst)).ListTopics(ctx)
				if err == nil && topics.Has("t") != kept {
					err = fmt.Errorf("%s: %v", policy, topics.Names())
				}
				return err
			}
			testkafka.Eventually(t, 10*time.Second, settled) // the event is said first
			r.stop()
			if err := settled(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("retry", func(t *testing.T) {
		src, dst := pairOf(t, "t")
		deleteTopic(t, dst, "t")
		cfg := quickConfig(src, dst)
		cfg.Policies = Policies{StandbyDeleted: GoOn}
		r := start(t, cfg)
		r.caughtUp(src, "t")
		deleteTopic(t, dst, "t")
		r.until("the event", func(s Status) bool { return s.Events[StandbyDeleted] == 1 })
		r.caughtUp(src, "t")
		testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
			if d := testkafka.Diff(t, testkafka.ReadSpec{Opts: src.Opts(), Topics: []string{"t"}}, testkafka.ReadSpec{Opts: dst.Opts(), Topics: []string{"t"}}); len(d) > 0 {
				return errors.New(strings.Join(d, "\n"))
			}
			return nil
		})
		r.stop()
	})
}

// A copy that somebody gives more partitions than the source's topic has goes on as it is, or
// stops, as the policy says; once the source has as many, it goes on anyhow.
func TestPartitionsAhead(t *testing.T) {
	for _, policy := range []Policy{GoOn, Stop} {
		t.Run(string(policy), func(t *testing.T) {
			src, dst := pairOf(t, "bad", "good")
			cfg := quickConfig(src, dst)
			cfg.Policies = Policies{PartitionsAhead: policy}
			r := start(t, cfg)
			r.caughtUp(src, "bad", "good")
			if _, err := kadm.NewClient(testkafka.Client(t, dst)).UpdatePartitions(t.Context(), 3, "bad"); err != nil {
				t.Fatal(err)
			}
			s := r.until("the event", func(s Status) bool { return s.Events[PartitionsAhead] == 1 })
			if ev := s.Recent[len(s.Recent)-1]; ev.Kind != PartitionsAhead || ev.Policy != policy || ev.Topic != "bad" || ev.Partition != -1 || ev.Detail == "" {
				t.Errorf("%+v", ev)
			}
			produce(t, src, "good", 1, 10)
			if policy == GoOn {
				produce(t, src, "bad", 1, 10)
				r.caughtUp(src, "bad")
			} else {
				r.stopsWith(PartitionsAhead, "bad")
				produce(t, src, "bad", 1, 10)
			}
			r.caughtUp(src, "good")
			if _, err := kadm.NewClient(testkafka.Client(t, src)).UpdatePartitions(t.Context(), 3, "bad"); err != nil {
				t.Fatal(err)
			}
			produceTo(t, src, "bad", 2, 5)
			if policy == Stop {
				if end := contentOf(t, dst, "bad").Topics["bad"][0].End; end != 20 {
					t.Errorf("what has stopped has grown to %d", end)
				}
				r.Retry("bad")
			}
			r.caughtUp(src, "bad", "good")
			if s := r.Status(); s.Events[PartitionsAhead] != 1 || s.Stopped > 0 {
				t.Error(s.Recent)
			}
			same(t, src, dst, []string{"bad", "good"})
			r.stop()
		})
	}
}

// A topic that the target doesn't take is said once, the others are mirrored, and it is when the
// target takes it.
func TestTopicRefused(t *testing.T) {
	src, dst := pairOf(t, "good")
	k := testkafka.Kfake(dst)
	var heal atomic.Bool
	var refused atomic.Int64
	k.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if heal.Load() {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, rt := range req.(*kmsg.CreateTopicsRequest).Topics {
			a := kmsg.NewCreateTopicsResponseTopic()
			a.Topic, a.ErrorCode, a.ErrorMessage = rt.Topic, kerr.PolicyViolation.Code, kmsg.StringPtr("not here")
			resp.Topics = append(resp.Topics, a)
		}
		refused.Add(1)
		return resp, nil, true
	})
	r := start(t, quickConfig(src, dst))
	create(t, src, 1, nil, "bad")
	produce(t, src, "bad", 1, 10)
	r.until("two refusals", func(s Status) bool { return refused.Load() > 1 && s.Events[TopicRefused] > 0 })
	produce(t, src, "good", 1, 10)
	r.caughtUp(src, "good")
	s := r.Status()
	if ev := s.Recent[len(s.Recent)-1]; s.Events[TopicRefused] != 1 || ev.Kind != TopicRefused || ev.Policy != Retry || ev.Topic != "bad" || !strings.Contains(ev.Detail, "not here") {
		t.Error(s.Recent)
	}
	heal.Store(true)
	r.until("the topic", func(s Status) bool { _, ok := find(s, "bad", 0); return ok })
	r.caughtUp(src, "bad")
	same(t, src, dst, []string{"bad", "good"})
	r.stop()
}

// Where the policy says stop, a topic that the target doesn't take is said once and not tried
// again, unless Retry asks for it.
func TestTopicRefusedForGood(t *testing.T) {
	for kind, code := range map[EventKind]int16{TopicRefused: kerr.PolicyViolation.Code, Denied: kerr.TopicAuthorizationFailed.Code} {
		t.Run(string(kind), func(t *testing.T) {
			src, dst := pairOf(t, "good")
			var refused, looks atomic.Int64
			k := testkafka.Kfake(dst)
			k.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
				k.KeepControl()
				resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
				a := kmsg.NewCreateTopicsResponseTopic()
				a.Topic, a.ErrorCode = "bad", code
				resp.Topics = append(resp.Topics, a)
				if req.(*kmsg.CreateTopicsRequest).Topics[0].Topic != "bad" {
					return nil, nil, false
				}
				refused.Add(1)
				return resp, nil, true
			})
			s := testkafka.Kfake(src)
			s.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				s.KeepControl()
				if req.(*kmsg.MetadataRequest).Topics == nil {
					looks.Add(1)
				}
				return nil, nil, false
			})
			cfg := quickConfig(src, dst)
			cfg.Policies = Policies{kind: Stop}
			r := start(t, cfg)
			create(t, src, 1, nil, "bad")
			r.until("it is refused", func(s Status) bool { return s.Events[kind] > 0 })
			at := looks.Load()
			r.until("three more looks", func(Status) bool { return looks.Load() >= at+3 })
			if s := r.Status(); refused.Load() != 1 || s.Events[kind] != 1 {
				t.Errorf("tried %d times: %v", refused.Load(), s.Recent)
			}
			r.Retry("bad")
			r.until("it is refused again", func(s Status) bool { return refused.Load() == 2 && s.Events[kind] == 2 })
			r.stop()
		})
	}
}

// What is handed to the copier again after a failure is counted once.
func TestCountedOnce(t *testing.T) {
	src, dst := pairOf(t, "x")
	for range 5 {
		produce(t, src, "x", 1, 4)
	}
	refused, heal := spoil(dst, "x", kerr.OutOfOrderSequenceNumber)
	r := start(t, quickConfig(src, dst))
	r.until("refusals", func(Status) bool { return refused.Load() > 2 })
	if s := r.Status(); s.Records > 0 || s.Bytes > 0 {
		t.Errorf("%d records, %d bytes, and nothing was appended", s.Records, s.Bytes)
	}
	heal()
	r.caughtUp(src, "x")
	r.until("all are counted", func(s Status) bool { return s.Records >= 20 })
	if s := r.Status(); s.Records != 20 {
		t.Errorf("%d records counted, 20 mirrored", s.Records)
	}
	r.stop()
}

// Restored, or copied by somebody else at the same offsets: adopted where it is the same, refused
// where it isn't.
func TestAdopt(t *testing.T) {
	src, dst := pairOf(t, "t")
	deleteTopic(t, dst, "__kafkadr")
	produce(t, src, "t", 1, 5)
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"t"})

	create(t, src, 1, nil, "u")
	create(t, dst, 1, nil, "u")
	produce(t, src, "u", 1, 5)
	produce(t, dst, "u", 1, 3)
	m, err := New(quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := m.Run(t.Context()); !errors.As(err, &refused) || len(refused.Conflicts) != 1 || refused.Conflicts[0].Kind != "foreign_writer" || refused.Conflicts[0].Topic != "u" {
		t.Fatal(err)
	}
}
