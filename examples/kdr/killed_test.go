package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// victim is a process that is killed in a switch.
type victim string

const (
	killClient     victim = "client"
	killController victim = "controller"
	killMirror     victim = "mirror"
	// suspendController has the first controller sleep until another one has finished its switch.
	suspendController victim = "suspended"
)

// stepFirst is no step of a controller: the first record is acked on the other cluster.
const stepFirst control.Step = "first"

// kill is one run of the test: at which step who is killed.
type kill struct {
	step control.Step
	victim
	// behind: the mirror is dead before the switch, so that there is a tail.
	behind bool
	// within: not while the controller waits after the step, but a moment after it has gone on.
	within bool
}

func (k kill) String() string {
	s := fmt.Sprintf("%s-%s", k.step, k.victim)
	if k.behind {
		s += "-behind"
	}
	if k.within {
		s += "-within"
	}
	return s
}

var killSteps = []control.Step{
	control.StepClose, control.StepFence, control.StepStop, control.StepRefill, control.StepForks, control.StepOffsets, control.StepRights, control.StepOpen, stepFirst,
}

// kills are all there are with KAFKADR_LONG; else one of each step, by chance, and each victim as
// often as another.
func kills(random *rand.Rand) (all []kill) {
	victims := []victim{killClient, killController, killMirror}
	if os.Getenv("KAFKADR_LONG") == "" {
		offset := random.IntN(3)
		for i, s := range killSteps {
			v := victims[(i+offset)%3]
			all = append(all, kill{step: s, victim: v, behind: v != killMirror && i%2 == 0, within: random.IntN(2) == 0})
		}
		return append(all, kill{step: killSteps[random.IntN(len(killSteps)-2)], victim: suspendController})
	}
	for _, s := range killSteps {
		for _, v := range append(victims, suspendController) {
			for _, how := range []kill{{}, {within: true}, {behind: true}, {behind: true, within: true}} {
				if v == killMirror && how.behind || v == suspendController && (how.within || s == control.StepOpen || s == stepFirst) {
					continue
				}
				how.step, how.victim = s, v
				all = append(all, how)
			}
		}
	}
	return all
}

// killPair are two clusters of three brokers with an authorizer, and how to log in as an operator,
// and as an application.
type killPair struct {
	a, b        testkafka.Secured
	admin, user map[string]string // client properties by cluster
}

func newKillPair(t *testing.T) *killPair {
	t.Helper()
	configs := func(flag string) map[string]string { // pooled clusters differ by their options
		return map[string]string{"min.insync.replicas": "2", "log.retention.check.interval.ms": flag}
	}
	p := &killPair{
		a:     pool.Real(t, testkafka.Options{Brokers: 3, Secure: true, Configs: configs("300000")}).(testkafka.Secured),
		b:     pool.Real(t, testkafka.Options{Brokers: 3, Secure: true, Configs: configs("300001")}).(testkafka.Secured),
		admin: map[string]string{}, user: map[string]string{},
	}
	for name, cl := range p.clusters() {
		const user, password = "app", "app-secret"
		cl.CreateUser(t, user, password)
		testkafka.Allow(t, cl, user, kadm.NewACLs().Topics("*").Groups("*").Operations(kadm.OpAll))
		admin, secret := cl.Admin()
		p.admin[name], p.user[name] = cl.ClientProperties(t, admin, secret), cl.ClientProperties(t, user, password)
	}
	return p
}

func (p *killPair) clusters() map[string]testkafka.Secured {
	return map[string]testkafka.Secured{"a": p.a, "b": p.b}
}

// file writes a clusters file of one topic's scope, with logins; the register is in the directory.
func (p *killPair) file(t *testing.T, topic, dir string, logins map[string]string) string {
	t.Helper()
	return clustersOf(t, p.a, p.b, map[string]any{
		"scope": topic, "topics": []string{topic}, "flow": map[string]any{"name": topic}, "fence": map[string]any{"deny_writes": true},
		"register": map[string]any{"stores": []string{"file://" + dir}},
		"clusters": []any{
			map[string]any{"name": "a", "brokers": p.a.Addrs(), "kafka_config": logins["a"]},
			map[string]any{"name": "b", "brokers": p.b.Addrs(), "kafka_config": logins["b"]},
		},
	})
}

// TestRealKills kills a client, a controller or the mirror at each step of a switch: processes of
// their own, between real clusters of three brokers. Whoever is left finishes the switch. Then all
// that was acked is on the standby, once and in order, but for what a killed client had sent and
// the mirror hadn't carried: that is the tail of the cluster that was left.
func TestRealKills(t *testing.T) {
	random := randomFor(t)
	p := newKillPair(t)
	var g errgroup.Group
	g.SetLimit(2) // each is five processes beside the six brokers
	for _, k := range kills(random) {
		seed := random.Uint64()
		g.Go(func() error {
			t.Run(k.String(), func(t *testing.T) { newKilling(t, p, k, seed).run() })
			return nil
		})
	}
	_ = g.Wait()
}

// killing is a run.
type killing struct {
	*testing.T
	*journal
	kill
	pair   *killPair
	random *rand.Rand
	topic  string
	dir    string // the register's
	ops    string // clusters file of operators
	apps   string // and of applications

	standby           *kadm.Client
	mirror            *following
	survivor, wounded *helper

	report control.Report // of the controller that opened b
}

func newKilling(t *testing.T, p *killPair, k kill, seed uint64) *killing {
	t.Helper()
	r := &killing{
		T: t, journal: newJournal(t), kill: k, pair: p, random: rand.New(rand.NewPCG(seed, 1)), topic: "kill-" + k.String(), dir: filepath.Join(t.TempDir(), "register"),
	}
	r.standby = kadm.NewClient(testkafka.Client(t, p.b))
	r.ops, r.apps = p.file(t, r.topic, r.dir, p.admin), p.file(t, r.topic, r.dir, p.user)
	testkafka.Create(t, p.a, 3, 3, nil, r.topic)
	return r
}

// eventually polls for as long as the test may take.
func (r *killing) eventually(f func(context.Context) error) {
	r.Helper()
	testkafka.Eventually(r, 2*time.Minute, f)
}

// explain logs what the processes said of a run that failed.
func (r *killing) explain() {
	if !r.Failed() {
		return
	}
	if r.mirror != nil {
		_ = r.mirror.cmd.Process.Signal(syscall.SIGQUIT) // where it stands
		<-r.mirror.ended
		r.Logf("mirror: %s", r.mirror.stderr.String())
	}
	for _, h := range []*helper{r.survivor, r.wounded} {
		if h != nil {
			r.Logf("%s: %s", h.name, h.stderr.String())
		}
	}
}

func (r *killing) startMirror() *following {
	r.Helper()
	return start(r, "-v", "mirror", "--clusters", r.ops, "--from-name", "a", "--to-name", "b", "--discover", "200ms", "--skip-acls", "--skip-quotas")
}

func (r *killing) run() {
	defer r.explain()
	r.mirror = r.startMirror()
	r.survivor, r.wounded = r.application("survivor", r.apps, r.topic, true), r.application("wounded", r.apps, r.topic, false)
	r.eventually(r.steady)
	if r.behind {
		_ = r.mirror.cmd.Process.Signal(syscall.SIGKILL)
		r.mirror.wait(r)
		before := r.count("wounded")
		r.eventually(func(context.Context) error { return atLeast("acks", r.count("wounded"), before+20) })
	}
	r.change()
	r.settle()
	r.judge()
}

// steady: both applications have acks, records are consumed, and the standby has some.
func (r *killing) steady(ctx context.Context) error {
	r.mu.Lock()
	err := errors.Join(atLeast("acks", min(r.acks["survivor"], r.acks["wounded"]), 50), atLeast("consumed", len(r.got), 10))
	r.mu.Unlock()
	if err = errors.Join(err, r.mirror.alive(), r.survivor.alive(), r.wounded.alive()); err != nil {
		return err
	}
	ends, err := r.standby.ListEndOffsets(ctx, r.topic)
	if err != nil {
		return err
	}
	n := 0
	ends.Each(func(o kadm.ListedOffset) { n += int(max(o.Offset, 0)) })
	return atLeast("mirrored", n, 50)
}

// change switches, and kills on the way. In the end the standby is active.
func (r *killing) change() {
	r.Helper()
	steps, reports := make(chan string, 100), make(chan control.Report, 1)
	one := r.controller("one", steps, reports)
	killed := false
	for done := false; !done; {
		select {
		case line := <-steps:
			step := control.Step(strings.Fields(line)[0])
			if step == control.StepOpen && r.step == stepFirst {
				r.eventually(func(context.Context) error { return r.said("survivor", "first", 1) })
				step = stepFirst
			}
			if step == r.step && !killed {
				killed = true
				if r.within {
					one.tell("go on")
					<-time.After(between(r.random, 0, 200*time.Millisecond))
				}
				r.strike(one)
			}
			if r.victim != suspendController || !killed {
				one.tell("go on")
			}
		case <-one.ended:
			done = true
		}
		if killed && r.victim == suspendController {
			break
		}
	}
	if !killed {
		r.Fatalf("the switch had no step %s: %s", r.step, one.stderr.String())
	}
	if r.latest().Active == "" {
		r.takeOver()
	} else if r.victim != killController {
		r.report = <-reports
	}
	if r.victim == suspendController {
		one.end(exitFailed)
		if report := <-reports; report.End != control.EndOvertaken {
			r.Errorf("the suspended controller: %s", report.String())
		}
	}
}

// controller starts one that goes to b.
func (r *killing) controller(name string, steps chan<- string, reports chan<- control.Report) *helper {
	r.Helper()
	return help(r, processSpec{Controller: "b", Name: name, Clusters: r.ops}, func(line string) {
		what, rest, _ := strings.Cut(line, " ")
		switch what {
		case "step":
			r.Logf("%s: %s", name, rest)
			if steps != nil {
				steps <- rest
			}
		case "report":
			var report control.Report
			if err := json.Unmarshal([]byte(rest), &report); err != nil {
				r.Error(err)
			}
			r.Logf("%s: %s", name, report.String())
			reports <- report
		}
	})
}

// strike kills the victim. A supervisor starts a client and a mirror again at once.
func (r *killing) strike(controller *helper) {
	r.Helper()
	switch r.victim {
	case killController:
		controller.kill()
	case killClient:
		r.wounded.kill()
		r.wounded = r.application("wounded-again", r.apps, r.topic, false)
	case killMirror:
		_ = r.mirror.cmd.Process.Signal(syscall.SIGKILL)
		r.mirror.wait(r)
		r.mirror = r.startMirror()
	}
}

// takeOver has another controller finish the switch.
func (r *killing) takeOver() {
	r.Helper()
	reports := make(chan control.Report, 1)
	two := r.controller("two", nil, reports)
	two.end(exitDone) // its input's end lets it go from step to step
	if r.report = <-reports; r.report.End != control.EndSwitched || !r.report.Resumed {
		r.Fatalf("the second controller: %s", r.report.String())
	}
}

func (r *killing) register() register.Register {
	r.Helper()
	store, err := filestore.OpenBucket(r.dir, nil)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = store.Close() })
	reg, err := bucket.Open(r.Context(), store, bucket.Config{ReadOnly: true})
	if err != nil {
		r.Fatal(err)
	}
	return reg
}

func (r *killing) latest() register.Epoch {
	r.Helper()
	e, err := register.Latest(r.Context(), r.register(), r.topic)
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// settle has the applications go on for a while on the standby, and end.
func (r *killing) settle() {
	r.Helper()
	for _, h := range []*helper{r.survivor, r.wounded} {
		before := r.count(h.name)
		r.eventually(func(context.Context) error {
			return errors.Join(atLeast("acks", r.count(h.name), before+20), h.alive())
		})
	}
	for _, h := range []*helper{r.survivor, r.wounded} {
		h.tell("stop")
		r.eventually(func(context.Context) error { return errors.Join(r.said(h.name, "flushed", 1), h.alive()) })
	}
}

// judge compares what is there with what was promised.
func (r *killing) judge() {
	r.Helper()
	opening := r.history()
	stored := logOf(r, r.pair.b, r.topic, nil)
	forks := map[int32]int64{}
	for _, f := range opening.Forks {
		forks[f.Partition] = f.Offset
	}
	tail := logOf(r, r.pair.a, r.topic, forks)
	r.eventually(func(context.Context) error { return errors.Join(r.delivered(stored), r.survivor.alive()) })
	for _, h := range []*helper{r.survivor, r.wounded} {
		h.end(exitDone)
	}
	there := r.check(stored)
	lost := r.lost(there, tail)
	if r.behind && r.victim == killClient && lost == 0 && r.closed() {
		r.Error("a client that died with a mirror that was behind lost nothing")
	}
	if rpo := r.report.RPO; r.report.End == control.EndSwitched && rpo != nil && rpo.Records != int64(len(tail)) && !strings.Contains(strings.Join(r.report.Warnings, "\n"), "before the scope was closed") {
		r.Errorf("the report says that b lacks %d records, and the tail has %d", rpo.Records, len(tail))
	}
	r.Logf("%d acked, %d stored, a tail of %d, %d lost with the client", len(r.acked), len(stored), len(tail), lost)
}

// lost counts what a killed client has lost: what it had been acked and is in the tail alone.
// Nothing else may be missing.
func (r *killing) lost(there map[record]bool, tail []record) (lost int) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	inTail := map[record]bool{}
	for _, rec := range tail {
		inTail[rec] = true
		if r.victim == killClient && r.closed() && r.acked[rec] == "wounded" && there[rec] {
			r.Errorf("%v of a dead client's is beyond the fork, and on the standby", rec)
		}
	}
	for rec, by := range r.acked {
		switch {
		case there[rec]:
		case r.victim == killClient && by == "wounded" && inTail[rec]:
			lost++
		default:
			r.Errorf("%v, acked to %s, is lost; in the tail: %v", rec, by, inTail[rec])
		}
	}
	for rec := range r.got {
		if !there[rec] && !inTail[rec] {
			r.Errorf("%v was consumed, and isn't there", rec)
		}
	}
	return lost
}

// closed says that the kill was certainly before the other cluster was opened: later a client that
// is killed has replayed a part.
func (r *killing) closed() bool {
	at := slices.Index(killSteps, r.step)
	if r.within {
		at++
	}
	return at < slices.Index(killSteps, control.StepOpen)
}

// history holds that there are three epochs, and returns the one that opened b.
func (r *killing) history() register.Epoch {
	r.Helper()
	var all []register.Epoch
	for e, err := range register.History(r.Context(), r.register(), r.topic) {
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) != 3 || all[0].Active != "a" || !all[1].Closing() || all[2].Active != "b" || all[1].Switch != all[2].Switch {
		r.Fatalf("epochs: %+v", all)
	}
	return all[2]
}
