package mirror

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka/netfault"
)

const childEnv = "KAFKADR_MIRROR_CHILD"

// childJob is what a mirror in a process of its own is told.
type childJob struct {
	Source, Standby       []string          // addresses
	SourceVia, StandbyVia map[string]string // of networks
	Login                 *childLogin       // on the standby
	Topics                []string
	Name                  string
	Policies              Policies
	ReplicationFactor     int16
}

type childLogin struct{ CAFile, User, Password string }

// process is a mirror in a process of its own.
type process struct {
	testing.TB
	job    childJob
	cmd    *exec.Cmd
	ended  chan struct{}
	stderr lines

	mu     sync.Mutex
	events []Event // of all runs, each a line of the process's output
}

// lines collects what a process prints, up to a bound.
type lines struct {
	mu   sync.Mutex
	text []byte
	race bool // the race detector spoke
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	l.race = l.race || bytes.Contains(b, []byte("DATA RACE")) || bytes.Contains(b, []byte("panic: "))
	if len(l.text) > 20_000 && !l.race {
		l.text = slices.Clone(l.text[len(l.text)-10_000:])
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// mirror starts a mirror of the topics whose names begin with prefix, through the networks. It is
// killed when the test ends.
func (p *faultPair) mirror(t testing.TB, prefix string) *process {
	t.Helper()
	return startProcess(t, childJob{Source: p.source.Addrs(), Standby: p.standby.Addrs(), SourceVia: p.source.net.Via(), StandbyVia: p.standby.net.Via(),
		Topics: []string{strings.ReplaceAll(prefix, ".", `\.`) + ".*"}, Name: strings.TrimSuffix(prefix, ".")})
}

func startProcess(t testing.TB, job childJob) *process {
	t.Helper()
	m := &process{TB: t, job: job}
	t.Cleanup(func() {
		m.kill()
		if m.stderr.race {
			t.Error("the mirror had a data race, or a panic")
		}
		if t.Failed() {
			t.Logf("the mirror's events: %+v\nthe end of what it logged:\n%s", m.seen(), m.stderr.String())
		}
	})
	m.start()
	return m
}

// start starts the process, anew after a kill.
func (m *process) start() {
	m.Helper()
	text, err := json.Marshal(m.job)
	if err != nil {
		m.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = &m.stderr
	_, err = cmd.StdinPipe() // which ends with us
	if err != nil {
		m.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.Fatal(err)
	}
	ended := make(chan struct{})
	m.cmd, m.ended = cmd, ended
	go func() {
		for dec := json.NewDecoder(out); ; {
			var e Event
			if dec.Decode(&e) != nil {
				break
			}
			m.mu.Lock()
			m.events = append(m.events, e)
			m.mu.Unlock()
		}
		_ = cmd.Wait()
		close(ended)
	}()
}

func (m *process) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// terminate ends it as an operator would, and fails the test unless it ends well within 10 s.
func (m *process) terminate() {
	m.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.Fatalf("the mirror has ended before: %v\n%s", err, m.stderr.String())
	}
	select {
	case <-m.ended:
	case <-time.After(10 * time.Second):
		m.Fatal("the mirror didn't end within 10 s of SIGTERM")
	}
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		m.Fatalf("the mirror ended with exit code %d\n%s", code, m.stderr.String())
	}
}

func (m *process) signal(s syscall.Signal) {
	m.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.Fatal(err)
	}
}

// seen are the events so far.
func (m *process) seen() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// forget lets await wait for new events.
func (m *process) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = nil
}

// running fails the test where the process has ended.
func (m *process) running() {
	m.Helper()
	select {
	case <-m.ended:
		m.Fatalf("the mirror has ended by itself: %s", m.stderr.String())
	default:
	}
}

// unstopped fails the test where a partition has stopped.
func (m *process) unstopped() {
	m.Helper()
	for _, e := range m.seen() {
		if e.Policy == Stop {
			m.Errorf("stopped: %s", e)
		}
	}
}

// await waits for an event of one of the kinds about a topic.
func (m *process) await(topic string, kinds ...EventKind) (found Event) {
	m.Helper()
	testkafka.Eventually(m, time.Minute, func(context.Context) error {
		for _, e := range m.seen() {
			if e.Topic == topic && slices.Contains(kinds, e.Kind) {
				found = e
				return nil
			}
		}
		return errors.Join(fmt.Errorf("no event %v of %s", kinds, topic), m.gone())
	})
	return found
}

func (m *process) gone() error {
	select {
	case <-m.ended:
		return errors.New("the mirror has ended")
	default:
		return nil
	}
}

// child is the mirroring process: it ends cleanly at SIGTERM.
func child(text string) int {
	if err := runChild(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild(text string) error {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	standby, err := job.standby()
	if err != nil {
		return err
	}
	go func() { // its parent is gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	out, log := json.NewEncoder(os.Stdout), slog.New(slog.NewTextHandler(os.Stderr, nil))
	m, err := New(Config{
		Source: clientOpts(job.Source, job.SourceVia), Target: standby, Topics: job.Topics, Name: job.Name, Policies: job.Policies, ReplicationFactor: job.ReplicationFactor,
		Discover: time.Second, GroupInterval: time.Second, Logger: log,
		Hooks:  Hooks{OnEvent: func(e Event) { _ = out.Encode(e) }, OnRetry: func(op string, err error) { log.Info("again", "op", op, "error", err) }},
		tuning: job.tuning(),
	})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Second)
		defer cancel()
		_ = m.Stop(ctx)
	}()
	return m.Run(context.Background())
}

// tuning is quicker than by default, unless there is time.
func (j childJob) tuning() tuning {
	if long() {
		return tuning{}
	}
	return tuning{pause: 2 * time.Second, identity: 2 * time.Second, quiet: 5 * time.Second}
}

func clientOpts(addrs []string, via map[string]string) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(addrs...)}
	if via != nil {
		opts = append(opts, kgo.Dialer(netfault.Dial(via)))
	}
	return opts
}

func (j childJob) standby() ([]kgo.Opt, error) {
	if j.Login == nil {
		return clientOpts(j.Standby, j.StandbyVia), nil
	}
	pem, err := os.ReadFile(j.Login.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return []kgo.Opt{kgo.SeedBrokers(j.Standby...), kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: j.Login.User, Pass: j.Login.Password}.AsSha512Mechanism())}, nil
}

// freeze makes the process stand still; thaw lets it go on.
func (m *process) freeze() { m.Helper(); m.signal(syscall.SIGSTOP) }
func (m *process) thaw()   { m.Helper(); m.signal(syscall.SIGCONT) }
