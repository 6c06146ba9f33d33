package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// All faults are named at once.
func TestConfigErrors(t *testing.T) {
	_, err := New(Config{
		Topics: []string{"("}, Groups: []string{"["}, Prefix: "a b", Name: "x/y", Writes: "x", MemoryBytes: 5, Discover: -1, ReplicationFactor: -1,
		Policies: Policies{TopicDeleted: Recreate, "nonsense": Stop},
	})
	var ce *ConfigError
	if !errors.As(err, &ce) || len(ce.Errs) != 12 {
		t.Fatalf("%d: %v", len(ce.Errs), err)
	}
	if _, err := NewPlan(t.Context(), Config{}); !errors.As(err, &ce) {
		t.Error(err)
	}
}

func TestUnknownTopic(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "orders")
	for _, patterns := range [][]string{{"nothing"}, {"orders", "nothing"}, {"no.*"}} {
		cfg := quickConfig(src, dst)
		cfg.Topics = patterns
		var unknown *UnknownTopicError
		if err := runOnce(t.Context(), cfg); !errors.As(err, &unknown) {
			t.Error(patterns, err)
		}
	}
}

// TestOwnTopics: a name takes itself alone, and what is the source's own is left out unless it is
// named. The plan says why.
func TestOwnTopics(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "test.a", "test-a", "kafkadr-canary", "__remote_log_metadata", "__consumer_offsets")
	p, err := NewPlan(t.Context(), quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafkadr-canary", "__remote_log_metadata", "__consumer_offsets"} {
		if p.LeftOut[name] == "" {
			t.Errorf("%s isn't left out: %v", name, p.LeftOut)
		}
	}
	if len(p.LeftOut) != 3 || len(p.Topics) != 2 {
		t.Error(p)
	}
	cfg := quickConfig(src, dst)
	cfg.Topics = []string{"test.a", "__remote_log_metadata"}
	once(t, cfg)
	copies, err := kadm.NewClient(testkafka.Client(t, dst)).ListTopics(t.Context())
	if got := copies.Names(); err != nil || !slices.Equal(got, []string{"__kafkadr", "__remote_log_metadata", "test.a"}) {
		t.Error(got, err)
	}
	cfg.Topics = []string{"__consumer_offsets"}
	_, err = New(cfg)
	var config *ConfigError
	var internal *InternalTopicError
	if !errors.As(err, &config) || !errors.As(err, &internal) || internal.Topic != "__consumer_offsets" {
		t.Error(err)
	}
}

func TestConnectError(t *testing.T) {
	src := testkafka.Fake(t, testkafka.Options{})
	cfg := quickConfig(src, src)
	cfg.Target = []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}
	var ce *ConnectError
	if err := runOnce(t.Context(), cfg); !errors.As(err, &ce) || !strings.Contains(err.Error(), "target") {
		t.Error(err)
	}
}

// Run ends within a second of its context, wherever it is, and only once.
func TestCancel(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 2, nil, "orders")
	m, err := New(quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	(&running{t, m, ended}).caughtUp(src, "orders")
	cause := errors.New("enough")
	cancel(cause)
	began := time.Now()
	if err := <-ended; !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("took %s", d)
	}
	if err := m.Run(t.Context()); !errors.Is(err, errRanAlready) {
		t.Error(err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPlan(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 2, nil, "fresh", "grown")
	create(t, dst, 1, nil, "grown")
	produce(t, src, "fresh", 2, 10)
	deleteBeforeAt(t, src, "fresh", 4)
	p, err := NewPlan(t.Context(), quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Topics) != 2 || len(p.Conflicts) != 0 || p.Records != 16 || p.HoleMethod == "" || p.RoundTrip <= 0 {
		t.Fatalf("%+v", p)
	}
	if f := p.Topics[0]; !f.Create || len(f.Partitions) != 2 || f.Partitions[0].Filler != 4 || f.Partitions[0].Lag != 6 || f.Partitions[1].Lag != 10 {
		t.Errorf("%+v", f)
	}
	if g := p.Topics[1]; g.Create || g.AddPartitions != 1 || len(g.Partitions) != 2 {
		t.Errorf("%+v", g)
	}
	for _, want := range []string{"create fresh: 2 partitions", "go on with grown"} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("no %q in:\n%s", want, p)
		}
	}
	if raw, err := json.Marshal(p); err != nil || !strings.Contains(string(raw), `"hole_method":`) {
		t.Errorf("%s %v", raw, err)
	}
	if got := topicsOf(t, dst); len(got) != 1 {
		t.Errorf("the plan has changed something: %v", got)
	}
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"fresh", "grown"})

	create(t, src, 1, nil, "less")
	create(t, dst, 2, nil, "less")
	if p, err := NewPlan(t.Context(), quickConfig(src, dst)); err != nil || len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "partitions" {
		t.Error(p, err)
	}
}

// Missing rights are named before anything is done.
func TestPlanRights(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "orders")
	src.CreateUser(t, "mm", "secret")
	adm := kadm.NewClient(testkafka.Client(t, src))
	allow := func(b *kadm.ACLBuilder) {
		if _, err := adm.CreateACLs(t.Context(), b.Allow("User:mm").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)); err != nil {
			t.Fatal(err)
		}
	}
	allow(kadm.NewACLs().Topics("orders").Operations(kadm.OpDescribe))
	cfg := quickConfig(src, dst)
	cfg.Source = src.UserOpts("mm", "secret")
	p, err := NewPlan(t.Context(), cfg)
	if err != nil || len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "denied" || p.Conflicts[0].Topic != "orders" {
		t.Fatal(p, err)
	}
	allow(kadm.NewACLs().Topics("orders").Operations(kadm.OpRead))
	p, err = NewPlan(t.Context(), cfg)
	if err != nil || len(p.Conflicts) != 0 || !strings.Contains(p.String(), "DESCRIBE_CONFIGS is missing on the source") {
		t.Fatal(p, err)
	}
}

// Holes are barriers: too many of them are refused.
func TestPlanHoles(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	for range 10 {
		transaction(t, src, "t", 2, true)
	}
	cfg := quickConfig(src, dst)
	p, err := NewPlan(t.Context(), cfg)
	if err != nil || len(p.Conflicts) > 0 || p.Topics[0].Partitions[0].HoleRuns != 10 {
		t.Errorf("%v %v", p, err)
	}
	cfg.MaxHoleTime = 5 * time.Millisecond
	if p, err = NewPlan(t.Context(), cfg); err != nil || len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "hole_time" {
		t.Errorf("%v %v", p, err)
	}
}

// Offsets of groups go along, and no further than the data.
func TestGroupsGoAlong(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "orders")
	produce(t, src, "orders", 1, 10)
	commit(t, src, "g", "orders", 7)
	cfg := quickConfig(src, dst)
	once(t, cfg)
	if got := committed(t, dst, "g", "orders"); got != 7 {
		t.Errorf("committed %d", got)
	}
	r := start(t, cfg)
	r.caughtUp(src, "orders")
	commit(t, src, "g", "orders", 3)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if got := committed(t, dst, "g", "orders"); got != 3 {
			return errors.New("not rewound")
		}
		return nil
	})
	r.until("a look at groups", func(s Status) bool { return s.Groups.Groups == 1 && s.Groups.AgeMillis >= 0 })
	r.stop()
}
