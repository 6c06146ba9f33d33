package drilltest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/mirror"
)

// Brokers is how many brokers each cluster of a [Pair] has.
const Brokers = 3

// Pair is two in-process clusters, primary and standby, behind a network that faults can hit. It is
// a [drill.Injector]: a killed broker leaves its cluster where others remain.
type Pair struct {
	network  *drill.Network
	clusters map[drill.Place]*kfake.Cluster
	ports    map[drill.Place][]int
}

// NewPair starts both. Close ends them.
func NewPair() (*Pair, error) { return pairOn(machine{}) }

// machine is where clusters listen, and how they are reached there. The zero value is this one.
type machine struct {
	listen func(network, addr string) (net.Listener, error)
	dial   drill.DialFunc
}

// opts are those of a cluster on the machine. One in memory can't choose ports by itself.
func (m machine) opts(place drill.Place) []kfake.Opt {
	opts := []kfake.Opt{kfake.NumBrokers(Brokers), kfake.ClusterID("drill-" + string(place))}
	if m.listen == nil {
		return opts
	}
	first := map[drill.Place]int{drill.Primary: 9092, drill.Standby: 9092 + Brokers}[place]
	var ports []int
	for i := range Brokers {
		ports = append(ports, first+i)
	}
	return append(opts, kfake.ListenFn(m.listen), kfake.Ports(ports...))
}

func pairOn(on machine) (*Pair, error) {
	p := &Pair{clusters: map[drill.Place]*kfake.Cluster{}, ports: map[drill.Place][]int{}}
	addrs := map[drill.Place][]string{}
	for _, place := range []drill.Place{drill.Primary, drill.Standby} {
		c, err := kfake.NewCluster(on.opts(place)...)
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("drilltest: start the %s: %w", place, err)
		}
		p.clusters[place], addrs[place] = c, c.ListenAddrs()
		for _, a := range addrs[place] {
			_, port, _ := net.SplitHostPort(a)
			n, _ := strconv.Atoi(port)
			p.ports[place] = append(p.ports[place], n)
		}
	}
	p.network = drill.NewNetwork(addrs, on.dial)
	return p, nil
}

// Close ends both clusters.
func (p *Pair) Close() {
	for _, c := range p.clusters {
		c.Close()
	}
}

// Clusters are the two, for applications and controllers; the primary is the first.
func (p *Pair) Clusters() []failover.Cluster {
	return []failover.Cluster{
		{Name: string(drill.Primary), Opts: p.Opts(drill.Primary)},
		{Name: string(drill.Standby), Opts: p.Opts(drill.Standby)},
	}
}

// Opts are those of a client of a cluster, the first place. Faults on the other places hit it too.
func (p *Pair) Opts(cluster drill.Place, also ...drill.Place) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(p.clusters[cluster].ListenAddrs()...),
		kgo.Dialer(p.network.Dialer(append([]drill.Place{cluster}, also...)...)),
		kgo.DisableClientMetrics(), kgo.MetadataMinAge(100 * time.Millisecond),
	}
}

// Mirror makes the topics on the primary where they are missing, with three partitions, and starts
// a mirror of them to the standby. It returns when they are there.
func (p *Pair) Mirror(ctx context.Context, topics ...string) (*Mirror, error) {
	for _, t := range topics {
		if p.clusters[drill.Primary].TopicInfo(t) != nil {
			continue
		}
		if err := p.clusters[drill.Primary].CreateTopic(t, 3, nil); err != nil {
			return nil, fmt.Errorf("drilltest: create %s: %w", t, err)
		}
	}
	m, err := p.mirror(mirror.Config{Topics: exactly(topics)})
	if err != nil {
		return nil, err
	}
	for {
		if l, err := m.Lag(ctx, m.from, m.to); err == nil && !l.At.IsZero() && l.Unknown == 0 {
			return m, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			m.Close()
			return nil, fmt.Errorf("drilltest: the mirror has not begun: %w", context.Cause(ctx))
		}
	}
}

// mirror starts one that is quick.
func (p *Pair) mirror(cfg mirror.Config) (*Mirror, error) {
	cfg.Source, cfg.Target = p.Opts(drill.Primary, drill.Mirror), p.Opts(drill.Standby, drill.Mirror)
	cfg.Discover, cfg.GroupInterval = 100*time.Millisecond, 100*time.Millisecond
	return StartMirror(string(drill.Primary), string(drill.Standby), cfg)
}

// Inject begins a fault.
func (p *Pair) Inject(ctx context.Context, f drill.Fault) error {
	if err := p.network.Inject(ctx, f); err != nil || !p.leaves(f) {
		return err
	}
	var errs []error
	for _, b := range f.Brokers {
		errs = append(errs, p.clusters[f.On].RemoveNode(int32(b))) //nolint:gosec // an index
	}
	return errors.Join(errs...)
}

// Heal ends it.
func (p *Pair) Heal(ctx context.Context, f drill.Fault) error {
	var errs []error
	if p.leaves(f) {
		for _, b := range f.Brokers {
			_, _, err := p.clusters[f.On].AddNode(int32(b), p.ports[f.On][b]) //nolint:gosec // an index
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, p.network.Heal(ctx, f))...)
}

// leaves says whether a fault takes brokers from a cluster that goes on.
func (p *Pair) leaves(f drill.Fault) bool {
	return (f.Kind == drill.Kill || f.Kind == drill.Flap) && len(f.Brokers) > 0 && len(f.Brokers) < Brokers
}
