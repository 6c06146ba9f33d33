package drill

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// mover is a client that is moved from outside, as simply as can be.
type mover struct {
	sync.RWMutex
	*kgo.Client
	open func(opts []kgo.Opt) *kgo.Client
}

func (m *mover) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	m.RLock()
	defer m.RUnlock()
	m.Client.Produce(ctx, r, promise)
}

func (m *mover) now() *kgo.Client {
	m.RLock()
	defer m.RUnlock()
	return m.Client
}

func (m *mover) Flush(ctx context.Context) error { return m.now().Flush(ctx) }

func (m *mover) CommitRecords(ctx context.Context, rs ...*kgo.Record) error {
	return m.now().CommitRecords(ctx, rs...)
}

// PollRecords goes on with the next client where one was closed.
func (m *mover) PollRecords(ctx context.Context, n int) kgo.Fetches {
	for {
		cl := m.now()
		fetches := cl.PollRecords(ctx, n)
		if !fetches.IsClientClosed() || ctx.Err() != nil || cl == m.now() {
			return fetches
		}
	}
}

// toy is a drill's two clusters, with clients that are moved by hand and a copy that is made at the
// switch.
type toy struct {
	t        *testing.T
	clusters [2]testkafka.Cluster
	stage    *stage
	movers   []*mover
	loses    bool // the copy lacks the last record of each partition
}

func newToy(t *testing.T, s Scenario) *toy {
	t.Helper()
	toy := &toy{t: t, clusters: [2]testkafka.Cluster{testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})}}
	s.Settle = Duration(50 * time.Millisecond)
	st := newStage(Config{Scenario: s, Register: register.NewMemory(), Scope: "drill", Clusters: []failover.Cluster{
		{Name: "a", Opts: toy.clusters[0].Opts()}, {Name: "b", Opts: toy.clusters[1].Opts()},
	}})
	st.client = func(_ context.Context, _ string, opts ...kgo.Opt) (Client, error) {
		m := &mover{open: func(cluster []kgo.Opt) *kgo.Client {
			cl, err := kgo.NewClient(append(cluster, opts...)...)
			if err != nil {
				t.Error(err)
			}
			return cl
		}}
		m.Client = m.open(toy.clusters[0].Opts())
		toy.movers = append(toy.movers, m)
		return m, nil
	}
	st.control = func(ctx context.Context) error { <-ctx.Done(); return nil }
	st.command, st.ready = toy.move, func(context.Context) error { return nil }
	toy.stage = st
	return toy
}

// play is the evidence.
func (toy *toy) play() *Evidence {
	toy.t.Helper()
	ctx, cancel := context.WithTimeout(toy.t.Context(), 20*time.Second)
	defer cancel()
	e, err := toy.stage.perform(ctx)
	if err != nil {
		toy.t.Fatal(err)
	}
	return e
}

// move is a planned switchover.
func (toy *toy) move(ctx context.Context) error {
	first, err := register.Latest(ctx, toy.stage.spy, "drill")
	if err != nil {
		return err
	}
	closing, err := register.Advance(ctx, toy.stage.spy, first, register.Epoch{Scope: "drill", From: "a", Target: "b", Switch: "s", Planned: true, By: "toy"})
	if err != nil {
		return err
	}
	for _, m := range toy.movers {
		m.Lock()
		defer m.Unlock()
		if err := m.Client.Flush(ctx); err != nil {
			return err
		}
		m.Client.Close()
	}
	forks, err := toy.copy(ctx)
	if err != nil {
		return err
	}
	_, err = register.Advance(ctx, toy.stage.spy, closing, register.Epoch{Scope: "drill", Active: "b", From: "a", Target: "b", Switch: "s", Planned: true, By: "toy", Forks: forks})
	for _, m := range toy.movers {
		m.Client = m.open(toy.clusters[1].Opts())
	}
	return err
}

// copy copies the topic and says where it ends.
func (toy *toy) copy(ctx context.Context) (forks []register.Fork, err error) {
	from, ends, err := toy.stage.apps.span(ctx, toy.clusters[0].Opts())
	if err != nil {
		return nil, err
	}
	src := testkafka.Client(toy.t, toy.clusters[0], kgo.ConsumePartitions(from))
	dst := testkafka.Client(toy.t, toy.clusters[1], kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if _, err := kadm.NewClient(dst).CreateTopic(ctx, toy.stage.apps.load.Partitions, 1, nil, "drill"); err != nil {
		return nil, err
	}
	for p, end := range ends {
		if toy.loses {
			end--
		}
		forks = append(forks, register.Fork{Topic: p.topic, Partition: p.partition, Offset: end})
	}
	slices.SortFunc(forks, func(a, b register.Fork) int { return int(a.Partition - b.Partition) })
	for left := len(ends); left > 0; {
		src.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			end := ends[place{r.Topic, r.Partition}]
			if r.Offset == end-1 {
				left--
			}
			if r.Offset < end && (!toy.loses || r.Offset < end-1) {
				err = errors.Join(err, dst.ProduceSync(ctx, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}).FirstErr())
			}
		})
	}
	return forks, err
}

func TestStageSwitchover(t *testing.T) {
	e := newToy(t, Scenario{Name: "planned", Expect: Switch, Planned: true, After: Duration(100 * time.Millisecond), Budgets: Budgets{RPORecords: new(int64)}}).play()
	if !e.Passed || e.Err() != nil || e.Active != "b" || e.Epoch != 3 || len(e.Epochs) != 2 || e.RPORecords != 0 {
		t.Error(e)
	}
	for _, phase := range []string{PhaseClosed, PhaseOpened, PhaseFirstAck, PhaseFirstConsumed} {
		if _, ok := e.RTO[phase]; !ok {
			t.Errorf("no %s in %v", phase, e.RTO)
		}
	}
	if e.PauseMillis < e.RTO[PhaseOpened]-e.RTO[PhaseClosed]-1 {
		t.Errorf("paused for %d ms, of %v", e.PauseMillis, e.RTO)
	}
}

// A copy that lacks records is found out: they are lost, and those that consumers had got are gone.
func TestStageLoses(t *testing.T) {
	toy := newToy(t, Scenario{Name: "loses", Expect: Switch, Planned: true, After: Duration(100 * time.Millisecond)})
	toy.loses = true
	e := toy.play()
	partitions := int64(toy.stage.apps.load.Partitions)
	if e.Passed || e.Lost != partitions || e.RPORecords != partitions || len(e.RPO) != int(partitions) || !strings.Contains(e.Err().Error(), "3 records lost, of at most 0") {
		t.Error(e)
	}
	var back Evidence
	text, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.Lost != e.Lost || back.String() != e.String() {
		t.Errorf("%v: %s", err, text)
	}
	for _, want := range []string{`"rto_ms":{"closed":`, `"rpo_records":3`, `"lost":3`, `"duplicated":0`, `"reordered":0`, `"passed":false`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, want := range []string{"drill loses: FAILED", "RPO: 3 records", "lost: drill/key-"} {
		if !strings.Contains(e.String(), want) {
			t.Errorf("no %q in %s", want, e)
		}
	}
}

// Nobody switches: where that is expected it passes, else it fails in time, and says what it waited
// for.
func TestStageStays(t *testing.T) {
	s := Scenario{Name: "stays", Expect: Stay, Faults: []Fault{{Kind: Kill, On: Register, For: Duration(100 * time.Millisecond)}}}
	if e := newToy(t, s).play(); !e.Passed || len(e.RTO) != 0 {
		t.Error(e)
	}
	s.Expect, s.Timeout = Switch, Duration(time.Second)
	e := newToy(t, s).play()
	if e.Passed || e.Lost != 0 || !strings.Contains(e.Err().Error(), "waiting until the standby serves") || !strings.Contains(e.Err().Error(), `b ought to be active, not "a"`) {
		t.Error(e)
	}
}
