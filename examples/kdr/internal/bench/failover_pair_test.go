package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

// standing is a primary and a standby that all rounds use, each with topics of its own. Both have
// an authorizer, and ACLs that let everybody do everything.
type standing struct {
	*bench
	clusters map[drill.Place]testkafka.Cluster
	network  *drill.Network
	rounds   int
}

// standingLease is short, so that many rounds fit in: neither it nor detection is in what is held
// against the target.
const standingLease = time.Second

func (b *bench) standing() *standing {
	s := &standing{bench: b, clusters: map[drill.Place]testkafka.Cluster{}}
	addrs := map[drill.Place][]string{}
	for _, place := range []drill.Place{drill.Primary, drill.Standby} {
		c := testkafka.Real(b.t, testkafka.Options{Configs: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true",
		}})
		s.clusters[place], addrs[place] = c, c.Addrs()
		s.allow(c)
	}
	s.network = drill.NewNetwork(addrs, nil)
	return s
}

// allow lets everybody use every topic: where a topic has ACLs, as that of a fence, nobody else may
// read it otherwise.
func (s *standing) allow(c testkafka.Cluster) {
	acl := kadm.NewACLs().Topics("*").Allow("User:*").AllowHosts().Operations(kadm.OpAll).ResourcePatternType(kadm.ACLPatternLiteral)
	res, err := kadm.NewClient(testkafka.Client(s.t, c)).CreateACLs(s.t.Context(), acl)
	for _, r := range res {
		if err == nil {
			err = r.Err
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *standing) opts(cluster drill.Place, also ...drill.Place) []kgo.Opt {
	return append(s.clusters[cluster].Opts(), kgo.Dialer(s.network.Dialer(append([]drill.Place{cluster}, also...)...)))
}

// round is what one drill showed.
type round struct {
	rto, detection, lease, rest, pause time.Duration
	fenced                             bool
	counts                             drill.Counts
	rpo                                int64
	phases                             []control.Phase
	plain                              *plainEnd
}

// injector makes faults, of which a kill is a SIGKILL of the brokers' processes, and notes when.
type injector struct {
	s     *standing
	at    time.Time
	plain *plain
	end   *plainEnd
}

func (i *injector) Inject(ctx context.Context, f drill.Fault) error {
	if i.at.IsZero() {
		i.at = time.Now()
	}
	if i.plain != nil {
		i.plain.fault()
	}
	if f.Kind != drill.Kill {
		return i.s.network.Inject(ctx, f)
	}
	for _, b := range i.s.clusters[f.On].Brokers() {
		i.s.clusters[f.On].Kill(i.s.t, b)
	}
	return nil
}

func (i *injector) Heal(ctx context.Context, f drill.Fault) error {
	if i.plain != nil { // it may go back where it came from
		i.end = i.plain.finish(ctx)
	}
	if f.Kind != drill.Kill {
		return i.s.network.Heal(ctx, f)
	}
	for _, b := range i.s.clusters[f.On].Brokers() {
		i.s.clusters[f.On].Start(i.s.t, b)
	}
	return nil
}

// trial is what a round is to be.
type trial struct {
	scenario string
	// fence denies writes at the brokers, through a network of its own.
	fence bool
	// plain has plain kgo produce beside, to a topic of its own.
	plain bool
}

func (s *standing) round(tr trial) *round {
	s.rounds++
	sc, ok := drill.Find(tr.scenario)
	if !ok {
		s.t.Fatal(tr.scenario)
	}
	topic := fmt.Sprintf("rto-%d", s.rounds)
	sc.Load = drill.Load{Topics: []string{topic}, Group: topic}
	sc.Settle, sc.Timeout = drill.Duration(500*time.Millisecond), drill.Duration(time.Minute)
	for i := range sc.Faults {
		sc.Faults[i].After = drill.Duration(300 * time.Millisecond)
	}
	in := &injector{s: s}
	topics := []string{"(?:" + topic + ")"}
	if tr.plain {
		in.plain = s.plain(topic + "-plain")
		topics = append(topics, "(?:"+topic+"-plain)") // no literal name, which has to be there: a broker that has just been started may not know it yet
	}
	m, err := drilltest.StartMirror("primary", "standby", mirror.Config{
		Source: s.opts(drill.Primary, drill.Mirror), Target: s.opts(drill.Standby, drill.Mirror), Name: topic, Topics: topics, Groups: []string{"(?:" + topic + ")"},
		Discover: 100 * time.Millisecond, GroupInterval: 50 * time.Millisecond, SkipACLs: true, SkipQuotas: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer m.Close()
	if in.plain != nil {
		in.plain.start(m)
	}
	cfg := drill.Config{
		Scenario: sc, Injector: in, Replication: m, Lease: standingLease, Controllers: 1,
		Clusters: []failover.Cluster{{Name: "primary", Opts: s.opts(drill.Primary)}, {Name: "standby", Opts: s.opts(drill.Standby)}},
	}
	if tr.fence {
		cfg.Controller = func(c *control.Config) {
			c.Switch.Fence = control.DenyWrites{Trust: true, Opts: func(cluster string) []kgo.Opt { return s.clusters[drill.Place(cluster)].Opts() }}
		}
	}
	e, err := drill.Run(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	if !e.Passed {
		s.t.Errorf("%s", e)
	}
	s.t.Logf("%s", e)
	return s.read(e, in)
}

// read takes a round's figures out of the evidence.
func (s *standing) read(e *drill.Evidence, in *injector) *round {
	r := &round{counts: e.Counts, rpo: e.RPORecords, plain: in.end, rto: time.Duration(e.RTO[drill.PhaseFirstAck]) * time.Millisecond, pause: time.Duration(e.PauseMillis) * time.Millisecond}
	i := slices.IndexFunc(e.Switches, func(r *control.Report) bool { return r.End == control.EndSwitched })
	if i < 0 {
		return r
	}
	report := e.Switches[i]
	r.lease, r.fenced, r.phases = time.Duration(report.LeaseMillis*1e6), report.FenceConfirmed, report.Phases
	if c := slices.IndexFunc(report.Phases, func(p control.Phase) bool { return p.Step == control.StepCheck }); c >= 0 && !in.at.IsZero() {
		r.detection = report.Phases[c].Start.Sub(in.at)
	}
	r.rest = r.rto - r.detection - r.lease
	return r
}

func (s *standing) createOn(cl *kgo.Client, topic string, parts int32) {
	res, err := kadm.NewClient(cl).CreateTopic(s.t.Context(), parts, -1, nil, topic)
	if err == nil {
		err = res.Err
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// ends are a topic's end offsets on a cluster, of partitions that aren't empty, and where to begin
// reading them.
func (s *standing) ends(ctx context.Context, place drill.Place, topic string) (map[int32]int64, map[string]map[int32]kgo.Offset) {
	listed, err := kadm.NewClient(testkafka.Client(s.t, s.clusters[place])).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ends, from := map[int32]int64{}, map[int32]kgo.Offset{}
	for p, o := range listed[topic] {
		if o.Offset > 0 {
			ends[p], from[p] = o.Offset, kgo.NewOffset().At(0)
		}
	}
	return ends, map[string]map[int32]kgo.Offset{topic: from}
}

func copied(topic string) func(mirror.TopicStatus) bool {
	return func(t mirror.TopicStatus) bool { return t.Source == topic && len(t.Detail) > 0 }
}
