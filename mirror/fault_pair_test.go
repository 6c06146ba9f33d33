package mirror

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka/netfault"
)

// faultPair is a source and a standby of three brokers each, which the fault tests share, with a
// network before either.
type faultPair struct {
	*testing.T
	random          *rand.Rand
	source, standby side
}

// side is one of the two clusters.
type side struct {
	testkafka.Cluster
	name string
	net  *netfault.Net
}

// quick makes brokers notice each other's faults sooner than by default, and coordinators abandoned
// transactions.
func quick(more ...string) map[string]string {
	configs := map[string]string{"broker.session.timeout.ms": "5000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "5000",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
	for i := 0; i < len(more); i += 2 {
		configs[more[i]] = more[i+1]
	}
	return configs
}

// newPair has the test's seed: KAFKADR_SEED, or one that is new and logged.
func newPair(t *testing.T) *faultPair {
	t.Helper()
	seed := faultSeed(t)
	source := pool.Real(t, testkafka.Options{Brokers: 3, Configs: quick("min.insync.replicas", "2")})
	standby := pool.Real(t, testkafka.Options{Brokers: 3, Configs: quick()})
	return &faultPair{T: t, random: rand.New(rand.NewPCG(seed, 0)),
		source:  side{source, "source", netfault.New(t, source)},
		standby: side{standby, "standby", netfault.New(t, standby)}}
}

func faultSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) % 1_000_000
	if n, err := strconv.ParseUint(os.Getenv("KAFKADR_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d", seed)
	return seed
}

// long says that the long counts are asked for.
func long() bool { return os.Getenv("KAFKADR_LONG") != "" }

// between is a random time; passing it is part of a fault.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}

func (p *faultPair) pass(low, high time.Duration) {
	p.Helper()
	timer := time.NewTimer(between(p.random, low, high))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.Context().Done():
		p.Fatal(p.Context().Err())
	}
}

// broker is one of the side's, by chance.
func (p *faultPair) broker(s side) int32 { return s.Brokers()[p.random.IntN(len(s.Brokers()))] }

// catchUp bounds how long a standby may take to be equal again: after faults of 40 s, and with real
// timeouts, holes alone wait for half a minute each.
func catchUp() time.Duration {
	if long() {
		return 10 * time.Minute
	}
	return 2 * time.Minute
}

// longest bounds how long a fault lasts.
func longest() time.Duration {
	if long() {
		return 40 * time.Second
	}
	return 3 * time.Second
}

// trouble is one that begins and ends.
type trouble struct {
	name string
	do   func(p *faultPair, s side, topics []loadTopic)
}

func brokerFaults() []trouble {
	return []trouble{
		{"killed", func(p *faultPair, s side, _ []loadTopic) {
			b := p.broker(s)
			s.Kill(p, b)
			p.pass(100*time.Millisecond, longest())
			s.Start(p, b)
		}},
		{"paused", func(p *faultPair, s side, _ []loadTopic) {
			b := p.broker(s)
			s.Pause(p, b)
			p.pass(200*time.Millisecond, longest())
			s.Resume(p, b)
		}},
		{"two paused", func(p *faultPair, s side, _ []loadTopic) {
			one, two := p.broker(s), p.broker(s)
			s.Pause(p, one)
			s.Pause(p, two)
			p.pass(200*time.Millisecond, longest())
			s.Resume(p, one)
			s.Resume(p, two)
		}},
		{"restarted", func(p *faultPair, s side, _ []loadTopic) {
			b := p.broker(s)
			s.Stop(p, b)
			s.Start(p, b)
		}},
		{"leaders moved", func(p *faultPair, s side, topics []loadTopic) {
			for _, t := range topics {
				for i := range t.partitions {
					p.move(s, t.name, i)
				}
			}
		}},
	}
}

// leader is a partition's, once it has one.
func (p *faultPair) leader(s side, topic string, partition int32) (leader int32) {
	p.Helper()
	adm := freshAdmin(p, s)
	testkafka.Eventually(p, time.Minute, func(ctx context.Context) error {
		topics, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		at, ok := topics[topic].Partitions[partition]
		if leader = at.Leader; !ok || leader < 0 {
			return fmt.Errorf("%s/%d has no leader on the %s", topic, partition, s.name)
		}
		return nil
	})
	return leader
}

// move gives a partition another leader.
func (p *faultPair) move(s side, topic string, partition int32) {
	p.Helper()
	leader := p.leader(s, topic, partition)
	to := p.broker(s)
	for to == leader {
		to = p.broker(s)
	}
	s.MoveLeader(p, topic, partition, to)
}

func networkFaults() []trouble {
	hold := func(p *faultPair, s side) {
		p.pass(500*time.Millisecond, longest())
		s.net.Heal(p)
	}
	return []trouble{
		{"blackholed", func(p *faultPair, s side, _ []loadTopic) {
			s.net.Blackhole(p, p.way(), p.some(s)...)
			hold(p, s)
		}},
		{"cut", func(p *faultPair, s side, _ []loadTopic) {
			s.net.Cut(p, p.some(s)...)
			hold(p, s)
		}},
		{"slow", func(p *faultPair, s side, _ []loadTopic) {
			s.net.Slow(p, p.way(), netfault.Slowness{Latency: 150 * time.Millisecond, Jitter: 100 * time.Millisecond, KBPerSecond: 100}, p.some(s)...)
			hold(p, s)
		}},
		{"lossy", func(p *faultPair, s side, _ []loadTopic) {
			s.net.Lossy(p, p.way(), p.random.Uint64())
			hold(p, s)
		}},
	}
}

func (p *faultPair) way() netfault.Way { return netfault.Way(p.random.IntN(3)) }

// some is one broker, or all of them.
func (p *faultPair) some(s side) []int32 {
	if p.random.IntN(2) == 0 {
		return nil
	}
	return []int32{p.broker(s)}
}
