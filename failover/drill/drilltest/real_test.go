package drilltest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

// realPair is two real clusters of three brokers, which all tests share. Faults on brokers are kill
// -9 where hard says so; others are on the clients' network.
type realPair struct {
	*testing.T
	clusters map[drill.Place]testkafka.Cluster
	network  *drill.Network
	hard     bool
}

func newRealPair(t *testing.T, hard bool) *realPair {
	t.Helper()
	configs := func(flag string) map[string]string { // pooled clusters differ by their options
		return map[string]string{"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "4000",
			"min.insync.replicas": "2", "group.initial.rebalance.delay.ms": "0", "log.retention.check.interval.ms": flag}
	}
	p := &realPair{T: t, hard: hard, clusters: map[drill.Place]testkafka.Cluster{
		drill.Primary: pool.Real(t, testkafka.Options{Brokers: 3, Configs: configs("300000")}),
		drill.Standby: pool.Real(t, testkafka.Options{Brokers: 3, Configs: configs("300001")}),
	}}
	p.network = drill.NewNetwork(map[drill.Place][]string{drill.Primary: p.clusters[drill.Primary].Addrs(), drill.Standby: p.clusters[drill.Standby].Addrs()}, nil)
	return p
}

func (p *realPair) opts(cluster drill.Place, also ...drill.Place) []kgo.Opt {
	return append(p.clusters[cluster].Opts(), kgo.Dialer(p.network.Dialer(append([]drill.Place{cluster}, also...)...)), kgo.MetadataMinAge(250*time.Millisecond))
}

// brokers are those that a fault kills, none where it is on the network.
func (p *realPair) brokers(f drill.Fault) (ids []int32) {
	if cl := p.clusters[f.On]; cl != nil && f.Kind == drill.Kill && p.hard {
		ids = cl.Brokers()
		if len(f.Brokers) > 0 {
			ids = slices.DeleteFunc(slices.Clone(ids), func(b int32) bool { return !slices.Contains(f.Brokers, slices.Index(ids, b)) })
		}
	}
	return ids
}

func (p *realPair) Inject(ctx context.Context, f drill.Fault) error {
	ids := p.brokers(f)
	if len(ids) == 0 {
		return p.network.Inject(ctx, f)
	}
	for _, b := range ids {
		p.clusters[f.On].Kill(p, b)
	}
	return nil
}

// Heal starts all brokers at once: a quorum needs two.
func (p *realPair) Heal(ctx context.Context, f drill.Fault) error {
	ids := p.brokers(f)
	if len(ids) == 0 {
		return p.network.Heal(ctx, f)
	}
	var wg sync.WaitGroup
	for _, b := range ids {
		wg.Go(func() { p.clusters[f.On].Start(p, b) })
	}
	wg.Wait()
	return nil
}

// drill drills a scenario on topics of its own.
func (p *realPair) drill(s drill.Scenario, id string, o Options) *drill.Evidence {
	p.Helper()
	topic := fmt.Sprintf("drill-%s-%s", s.Name, id)
	s.Load.Topics, s.Load.Group = []string{topic}, topic
	m, err := StartMirror("primary", "standby", mirror.Config{
		Source: p.opts(drill.Primary, drill.Mirror), Target: p.opts(drill.Standby, drill.Mirror), Name: topic, Topics: exactly(s.Load.Topics), Groups: exactly([]string{topic}),
		Discover: 250 * time.Millisecond, GroupInterval: 250 * time.Millisecond, SkipACLs: true, SkipQuotas: true,
	})
	if err != nil {
		p.Fatal(err)
	}
	defer m.Close()
	cfg := drill.Config{
		Scenario: s, Injector: p, Replication: m, Lease: time.Second,
		Clusters: []failover.Cluster{{Name: "primary", Opts: p.opts(drill.Primary)}, {Name: "standby", Opts: p.opts(drill.Standby)}},
	}
	if o.Config != nil {
		o.Config(&cfg)
	}
	e, err := drill.Run(p.Context(), cfg)
	if err != nil {
		p.Fatal(err)
	}
	if !e.Passed {
		p.Error(e)
	} else {
		p.Log(e)
	}
	return e
}

// realScenario suits a scenario to brokers that take seconds to elect a leader, and to a lease that
// is twice as long.
func realScenario(s drill.Scenario) drill.Scenario {
	s.Timeout = drill.Duration(2 * time.Minute)
	switch s.Name {
	case "broker_lost":
		s.Faults[0].For = drill.Duration(8 * time.Second)
	case "primary_flapping":
		s.Faults[0].Every *= 2
	}
	return s
}

// Every scenario once, on real clusters; the brokers that die in these two are really killed.
func TestRealScenarios(t *testing.T) {
	for _, s := range drill.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			hard := s.Name == "primary_killed" || s.Name == "broker_lost"
			newRealPair(t, hard).drill(realScenario(s), "once", Options{})
		})
	}
}

// With KAFKADR_LONG, every scenario again and again, with a load of many keys, and brokers that are
// killed.
func TestRealLong(t *testing.T) {
	if os.Getenv("KAFKADR_LONG") == "" {
		t.Skip("set KAFKADR_LONG=1: half an hour")
	}
	const rounds = 10
	for round := range rounds {
		for _, s := range drill.Scenarios() {
			t.Run(fmt.Sprintf("%s/%d", s.Name, round), func(t *testing.T) {
				s = realScenario(s)
				s.Load.Rate, s.Load.Keys, s.Load.Partitions, s.Load.Producers, s.Load.Consumers = 3000, 200, 6, 3, 2
				hard := !strings.Contains(s.Name, "both") && !strings.Contains(s.Name, "standby") // these are to be back in seconds
				newRealPair(t, hard).drill(s, fmt.Sprint("long-", round), Options{})
			})
		}
	}
}
