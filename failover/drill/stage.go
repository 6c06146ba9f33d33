package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
)

// stage is a drill under way.
type stage struct {
	scenario         Scenario
	primary, standby failover.Cluster
	spy              *spy
	scope            string
	lease            time.Duration
	apps             *apps
	chaos            *chaos

	// client makes an application's client, control runs the controllers until the context ends,
	// command has one of them switch over, ready says what isn't mirrored yet.
	client  func(ctx context.Context, name string, opts ...kgo.Opt) (Client, error)
	control func(ctx context.Context) error
	command func(ctx context.Context) error
	ready   func(ctx context.Context) error

	started time.Time
	mu      sync.Mutex
	entries []Entry
	failed  []string
	reports []*control.Report
	clients []ClientReport
}

// newStage is a stage without those who act on it.
func newStage(cfg Config) *stage {
	s := &stage{scenario: cfg.Scenario, primary: cfg.Clusters[0], standby: cfg.Clusters[1], scope: cfg.Scope, lease: cfg.Lease, started: time.Now()}
	s.apps = newApps(cfg.Scenario.Load.withDefaults())
	s.spy = newSpy(cfg.Register, s.epoch)
	s.chaos = &chaos{faults: cfg.Scenario.Faults, injector: router{s.spy, cfg.Injector}, meter: s.apps.meter, say: s.say}
	return s
}

// router gives faults on the register to the spy, and others to whom they concern.
type router struct {
	register *spy
	others   Injector
}

func (r router) to(f Fault) Injector {
	if f.On == Register {
		return r.register
	}
	return r.others
}

func (r router) Inject(ctx context.Context, f Fault) error { return r.to(f).Inject(ctx, f) }
func (r router) Heal(ctx context.Context, f Fault) error   { return r.to(f).Heal(ctx, f) }

// sumTime bounds the reading of what survived.
const sumTime = time.Minute

// perform plays the scenario and passes the verdict. All faults are healed when it returns.
func (s *stage) perform(ctx context.Context) (*Evidence, error) {
	playing, cancel := context.WithTimeoutCause(ctx, s.scenario.Timeout.or(time.Minute), errTimeout)
	err := s.play(playing)
	cancel()
	if err != nil {
		return nil, errors.Join(err, s.chaos.healAll(ctx))
	}
	adding, cancel := context.WithTimeout(ctx, sumTime)
	e := s.sum(adding)
	cancel()
	s.fail("faults", s.chaos.healAll(ctx))
	s.finish(e)
	return e, ctx.Err()
}

var errTimeout = errors.New("the scenario's timeout is over")

// say puts a line on the timeline.
func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) < maxEntries {
		s.entries = append(s.entries, Entry{time.Since(s.started).Milliseconds(), fmt.Sprintf(format, args...)})
	}
}

// report keeps what a controller says of a switch.
func (s *stage) report(r *control.Report) {
	s.say("report of %s: %s", r.By, r.End)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) < maxReports {
		s.reports = append(s.reports, r)
	}
}

// clientReport keeps what a client says of a switch.
func (s *stage) clientReport(client string, r failover.ClientReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) < maxReports {
		s.clients = append(s.clients, ClientReport{client, r})
	}
}

// maxReports bounds the reports of either kind.
const maxReports = 1000

// maxEntries bounds the timeline.
const maxEntries = 1000

// fail notes why the drill hasn't passed.
func (s *stage) fail(what string, err error) {
	if err == nil {
		return
	}
	s.say("failure: %s: %v", what, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, fmt.Sprintf("%s: %v", what, err))
}

// play runs the drill. An error is why it couldn't begin; what goes wrong later is a failure of the
// drill.
func (s *stage) play(ctx context.Context) error {
	if err := s.createTopics(ctx); err != nil {
		return fmt.Errorf("topics on %s: %w", s.primary.Name, err)
	}
	first, err := register.Begin(ctx, s.spy.Register, s.scope, register.Epoch{Scope: s.scope, Active: s.primary.Name, Lease: s.lease, By: "drill", Reason: "the drill begins"})
	if err != nil {
		return err
	}
	s.spy.begin(first.Number)
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()
	controllers := make(chan error, 1)
	go func() { controllers <- s.control(work) }()
	defer func() {
		stopWork()
		if err := <-controllers; err != nil && !errors.Is(err, context.Canceled) {
			s.fail("controllers", err)
		}
	}()
	if err := s.apps.open(ctx, s.client); err != nil {
		return err
	}
	var consumers sync.WaitGroup
	consumers.Go(func() { s.apps.consume(work) })
	defer func() {
		stopWork()
		s.apps.close()
		consumers.Wait()
	}()
	return s.act(ctx)
}

// act is what happens while the applications run.
func (s *stage) act(ctx context.Context) error {
	stop, produced := make(chan struct{}), make(chan error, 1)
	go func() { produced <- s.apps.produce(ctx, stop) }()
	err := s.steady(ctx)
	if err == nil {
		s.say("steady: records are acked, consumed and mirrored")
		s.fail("faults", s.disaster(ctx))
		s.fail("settle", pause(ctx, s.scenario.settle()))
	}
	close(stop)
	s.say("the load ends")
	if stopped := <-produced; err == nil {
		s.fail("answers for all records", stopped)
		s.fail("the end", s.apps.last(ctx))
	}
	return err
}

// createTopics creates those that are missing.
func (s *stage) createTopics(ctx context.Context) error {
	cl, err := kgo.NewClient(s.primary.Opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	there, err := adm.ListTopics(ctx, s.apps.load.Topics...)
	if err != nil {
		return err
	}
	for _, t := range s.apps.load.Topics {
		if there.Has(t) {
			continue
		}
		if _, err := adm.CreateTopic(ctx, s.apps.load.Partitions, -1, nil, t); err != nil {
			return fmt.Errorf("create %s: %w", t, err)
		}
	}
	return nil
}

// steady returns when there is something to disturb.
func (s *stage) steady(ctx context.Context) error {
	err := s.apps.meter.until(ctx, "records are acked and consumed", func(v view) bool { return v.acks > 0 && v.consumed > 0 })
	if err != nil {
		return err
	}
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("waiting until the standby has the topics: %w", err)
		}
	}
}

// disaster returns when the faults have come, and gone where they go, and who ought to serve does.
func (s *stage) disaster(ctx context.Context) error {
	faults := make(chan error, 1)
	go func() { faults <- s.chaos.run(ctx) }()
	var commanded error
	if s.scenario.Planned {
		commanded = s.switchover(ctx)
	}
	if s.scenario.Expect == Switch && commanded == nil {
		commanded = s.apps.meter.until(ctx, "the standby serves", func(v view) bool { return !v.firstAck.IsZero() && !v.firstConsumed.IsZero() })
	}
	if err := errors.Join(commanded, <-faults); err != nil {
		return err
	}
	v, _ := s.apps.meter.look()
	return s.apps.meter.until(ctx, "records are acked and consumed again", func(now view) bool { return now.acks > v.acks && now.consumed > v.consumed })
}

func (s *stage) switchover(ctx context.Context) error {
	if err := pause(ctx, time.Duration(s.scenario.After)); err != nil {
		return err
	}
	s.apps.meter.begin()
	s.say("planned switchover to %s", s.standby.Name)
	return s.command(ctx)
}

// epoch notes an epoch that somebody has written.
func (s *stage) epoch(e register.Epoch) {
	s.apps.meter.epoch(e)
	what := fmt.Sprintf("epoch %d, by %s: ", e.Number, e.By)
	if e.Closing() {
		what += fmt.Sprintf("closed, from %s to %s", e.From, e.Target)
	} else {
		what += e.Active + " is active"
	}
	if e.Reason != "" {
		what += ": " + e.Reason
	}
	s.say("%s", what)
}
