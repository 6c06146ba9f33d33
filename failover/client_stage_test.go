package failover

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

// stage is two clusters, an exact mirror between them, and a register.
type stage struct {
	testing.TB
	a, b   testkafka.Cluster
	reg    register.Register
	stopMM func() // ends the mirror cleanly
}

func newStage(t testing.TB, topics ...string) *stage {
	t.Helper()
	s := &stage{TB: t, a: testkafka.Fake(t, testkafka.Options{}), b: testkafka.Fake(t, testkafka.Options{}), reg: register.NewMemory()}
	adm := kadm.NewClient(testkafka.Client(t, s.a))
	for _, topic := range topics {
		if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// mirror starts the copy from a to b.
func (s *stage) mirror() {
	s.Helper()
	m, err := mirror.New(mirror.Config{Source: s.a.Opts(), Target: s.b.Opts(), Discover: 200 * time.Millisecond, GroupInterval: 200 * time.Millisecond})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	s.stopMM = sync.OnceFunc(func() {
		stop, end := context.WithTimeout(context.Background(), 10*time.Second)
		defer end()
		_ = m.Stop(stop)
		cancel()
		<-done
	})
	s.Cleanup(s.stopMM)
}

func (s *stage) clusters() []Cluster {
	return []Cluster{{Name: "a", Opts: s.a.Opts()}, {Name: "b", Opts: s.b.Opts()}}
}

func (s *stage) client(change func(*Config), opts ...kgo.Opt) *Client {
	s.Helper()
	cfg := Config{Clusters: s.clusters(), Register: s.reg, Lease: 2 * time.Second, Poll: 50 * time.Millisecond, Opts: opts}
	if change != nil {
		change(&cfg)
	}
	begin(s, cfg)
	c, err := NewClient(s.Context(), cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}

// begin begins the scope of a client, where nobody has.
func begin(t testing.TB, cfg Config) {
	t.Helper()
	scope := cmp.Or(cfg.Scope, "default")
	if _, err := register.Begin(t.Context(), cfg.Register, scope, register.Epoch{Active: cfg.Clusters[0].Name, Lease: cfg.Lease, By: "test"}); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) latest() register.Epoch {
	s.Helper()
	e, err := register.Latest(s.Context(), s.reg, "default")
	if err != nil {
		s.Fatal(err)
	}
	return e
}

func (s *stage) advance(next register.Epoch) register.Epoch {
	s.Helper()
	e, err := register.Advance(s.Context(), s.reg, s.latest(), next)
	if err != nil {
		s.Fatal(err)
	}
	return e
}

// closes begins a switch from a to b.
func (s *stage) closes(planned bool) {
	s.Helper()
	s.advance(register.Epoch{From: "a", Target: "b", Switch: "s", By: "test", Planned: planned})
}

// opens ends it at b, with its ends as forks; or back at a.
func (s *stage) opens(to string, planned bool) {
	s.Helper()
	e := register.Epoch{Active: to, From: "a", Target: "b", Switch: "s", By: "test", Planned: planned}
	at := s.b
	if to == "a" {
		at, e.Planned = s.a, false
	}
	ends, err := kadm.NewClient(testkafka.Client(s, at)).ListEndOffsets(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Topic[0] != '_' {
			e.Forks = append(e.Forks, register.Fork{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset})
		}
	})
	register.SortForks(e.Forks)
	s.advance(e)
}

// drained waits until b ends where a does.
func (s *stage) drained(topic string) {
	s.Helper()
	end := func(cl testkafka.Cluster) int64 {
		ends, err := kadm.NewClient(testkafka.Client(s, cl)).ListEndOffsets(s.Context(), topic)
		if err != nil {
			s.Fatal(err)
		}
		n := int64(0)
		if ends.Error() != nil || len(ends[topic]) == 0 {
			return -1 - int64(len(ends))
		}
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		return n
	}
	testkafka.Eventually(s, 10*time.Second, func(context.Context) error {
		if a, b := end(s.a), end(s.b); a != b || a < 0 {
			return fmt.Errorf("%d on a, %d on b", a, b)
		}
		return nil
	})
}

func record(topic string, key, n int) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(strconv.Itoa(key)), Value: fmt.Append(nil, n)}
}

// logged are the values of a topic by key, in log order.
func logged(t testing.TB, cl testkafka.Cluster, topic string) map[string][]string {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	ends.Each(func(o kadm.ListedOffset) { want += int(o.Offset) })
	by := make(map[string][]string)
	for n := 0; n < want; {
		fs := c.PollFetches(t.Context())
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			by[string(r.Key)] = append(by[string(r.Key)], string(r.Value))
			n++
		})
	}
	return by
}

// inOrder fails where a key's values aren't 0, 1, … n-1.
func inOrder(t testing.TB, got map[string][]string, keys, n int) {
	t.Helper()
	for k := range keys {
		vs := got[strconv.Itoa(k)]
		if len(vs) != n {
			t.Errorf("key %d has %d records, want %d", k, len(vs), n)
			continue
		}
		for i, v := range vs {
			if v != strconv.Itoa(i) {
				t.Errorf("key %d at %d: %s", k, i, v)
				break
			}
		}
	}
}
