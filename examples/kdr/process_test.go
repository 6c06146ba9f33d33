package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
)

// processEnv holds a processSpec where the test binary is to be an application or a controller
// instead of the tests.
const processEnv = "KDR_TEST_PROCESS"

// processSpec says what such a process is.
type processSpec struct {
	// Controller switches to the cluster of that name. Else the process is an application.
	Controller string `json:"controller"`
	Name       string `json:"name"`
	Clusters   string `json:"clusters"` // the file
	Topic      string `json:"topic"`
	// Next is where the numbers of each of an application's keys begin. With Consume it is in the
	// group of the topic's name, too.
	Next    map[string]int `json:"next"`
	Consume bool           `json:"consume"`
}

// processMain is the process. It is told by lines on standard input, tells by lines on standard
// output, and ends where its input does.
func processMain(spec string) int {
	p := &process{lines: make(chan string)}
	if err := json.Unmarshal([]byte(spec), &p.processSpec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer close(p.lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	if err := p.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitDone
}

type process struct {
	processSpec
	lines chan string
	mu    sync.Mutex
}

func (p *process) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func (p *process) run(ctx context.Context) error {
	a := &app{stdout: io.Discard, stderr: newScreen(os.Stderr), getenv: func(string) string { return "" }}
	a.log = a.newLogger()
	flag := clustersFlag{path: p.Clusters}
	if flag.check(a); len(a.faults) > 0 {
		return a.usage()
	}
	s, done, err := flag.file.open(ctx, a, existing)
	if err != nil {
		return err
	}
	defer done()
	if p.Controller != "" {
		return p.control(ctx, s)
	}
	return p.application(ctx, s)
}

// noArchive is a refill that finds nothing.
type noArchive struct{}

func (noArchive) Refill(context.Context, string, string) (control.RefillResult, error) {
	return control.RefillResult{}, nil
}

// control switches as kdr failover does. After each step it waits for a line.
func (p *process) control(ctx context.Context, s *switching) error {
	cfg := s.config()
	cfg.Name, cfg.Switch.Refill = p.Name, noArchive{}
	const busy = time.Minute // many processes log in at once, on a machine that may have two cores
	cfg.Switch.Deadlines = control.Deadlines{Check: busy, Stop: busy, Forks: busy, Offsets: busy, Rights: busy, GiveUp: busy}
	cfg.Hooks.OnPhase = func(ph control.Phase) {
		p.say("step %s %s %.0f %s", ph.Step, ph.Outcome, ph.Millis, oneLine(ph.Detail))
		<-p.lines
	}
	c, err := control.New(cfg)
	if err != nil {
		return err
	}
	plan, err := c.Plan(ctx, p.Controller, control.Failover)
	if err != nil {
		return err
	}
	r, err := plan.Run(ctx)
	raw, wrong := json.Marshal(r)
	p.say("report %s", raw)
	return errors.Join(err, wrong)
}

// application produces numbered records, and consumes them, until it is told to stop; then it has
// an answer for each record, and goes on consuming until its input ends.
func (p *process) application(ctx context.Context, s *switching) error {
	opts := []kgo.Opt{kgo.ClientID(p.Name), kgo.ProducerLinger(0), kgo.DefaultProduceTopic(p.Topic)}
	if p.Consume {
		opts = append(opts, kgo.ConsumerGroup(p.Topic), kgo.ConsumeTopics(p.Topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	}
	c, err := failover.NewClient(ctx, failover.Config{
		Clusters: s.clusters, Register: s.register, Scope: s.file.Scope, Lease: time.Duration(s.file.Lease), Opts: opts, Replay: &failover.Replay{Every: 200 * time.Millisecond},
		Logger: s.a.log,
		Hooks: failover.Hooks{
			OnSwitch:   func(r failover.ClientReport) { p.say("switched %s", r) },
			OnFirstAck: func(failover.ClientReport) { p.say("first") },
			OnLost:     func(r *kgo.Record, err error) { p.say("fault %s %s: let go: %v", r.Key, r.Value, err) },
		},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	g, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	if p.Consume {
		g.Go(func() error { return p.consume(ctx, c) })
	}
	g.Go(func() error {
		defer cancel()
		if err := p.produce(ctx, c); err != nil {
			return err
		}
		for range p.lines { // until the input ends
		}
		return nil
	})
	return g.Wait()
}

func (p *process) produce(ctx context.Context, c *failover.Client) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	keys := sortedKeys(p.Next)
	for i := 0; ; {
		select {
		case <-p.lines:
			within, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			err := c.Flush(within)
			p.say("flushed")
			return err
		case <-tick.C:
		}
		for range 5 { // few requests: many processes share a machine that may have two cores
			p.send(ctx, c, keys[i%len(keys)])
			i++
		}
	}
}

// send produces a key's next record.
func (p *process) send(ctx context.Context, c *failover.Client, key string) {
	n := p.Next[key]
	p.Next[key]++
	p.say("sent %s %d", key, n)
	c.Produce(ctx, &kgo.Record{Key: []byte(key), Value: fmt.Append(nil, n)}, func(_ *kgo.Record, err error) {
		if err != nil {
			p.say("fault %s %d: %v", key, n, err)
			return
		}
		p.say("acked %s %d", key, n)
	})
}

func (p *process) consume(ctx context.Context, c *failover.Client) error {
	for ctx.Err() == nil {
		fetches := c.PollRecords(ctx, 500)
		if fetches.IsClientClosed() {
			return nil
		}
		for _, r := range fetches.Records() {
			p.say("got %s %s", r.Key, r.Value)
		}
		if len(fetches.Records()) > 0 {
			_ = c.CommitRecords(ctx, fetches.Records()...) // what isn't committed comes again
		}
	}
	return nil
}

// helper is such a process.
type helper struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr output
	ended  chan struct{} // closed when it has ended, and all that it said was heard
}

// help starts one; each line that it says goes to heard. It is ended with the test, if not before.
func help(t testing.TB, spec processSpec, heard func(line string)) *helper {
	t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{t: t, name: spec.Name, cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	h.cmd.Env = append(os.Environ(), processEnv+"="+string(raw))
	h.cmd.Stderr = &h.stderr
	out, err := h.cmd.StdoutPipe()
	if err == nil {
		h.in, err = h.cmd.StdinPipe()
	}
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(h.ended)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if err != nil { // half a line is nothing said
				break
			}
			heard(strings.TrimSuffix(line, "\n"))
		}
		_ = h.cmd.Wait()
	}()
	t.Cleanup(h.kill)
	return h
}

func (h *helper) tell(line string) { _, _ = io.WriteString(h.in, line+"\n") }

// kill is kill -9.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	<-h.ended
}

// end waits for the end of one that is to end by itself, or with its input.
func (h *helper) end(code int) {
	h.t.Helper()
	_ = h.in.Close()
	select {
	case <-h.ended:
	case <-time.After(2 * time.Minute):
		h.t.Fatalf("%s doesn't end: %s", h.name, h.stderr.String())
	}
	if got := h.cmd.ProcessState.ExitCode(); got != code {
		h.t.Errorf("%s ended with %d, want %d: %s", h.name, got, code, h.stderr.String())
	}
}

// alive is an error once it has ended.
func (h *helper) alive() error {
	select {
	case <-h.ended:
		return fmt.Errorf("%s has ended: %s", h.name, h.stderr.String())
	default:
		return nil
	}
}
