package rawkafka_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// logged keeps what is logged at a level or above.
type logged struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (l *logged) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// requests counts the requests that a cluster gets, by name.
func requests(cl testkafka.Cluster) func() map[string]int {
	var mu sync.Mutex
	got := map[string]int{}
	k := testkafka.Kfake(cl)
	k.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		got[kmsg.NameForKey(req.Key())]++
		return nil, nil, false
	})
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		all := map[string]int{}
		for k, v := range got {
			all[k] = v
		}
		return all
	}
}

// TestAddressChangesCluster has another cluster answer at the address while connections live: it
// gets nothing but the opening and the guard's question, and is named.
func TestAddressChangesCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
		other := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
		asked := requests(other)
		shared := testkafka.Share(one, other)
		log := &logged{}
		c, err := rawkafka.Connect(t.Context(), shared.Opts(), rawkafka.Config{Logger: slog.New(log), RetryFor: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Admin().CreateTopic(t.Context(), 3, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
		shared.Turn(true)
		if _, err := c.Topics(t.Context()); err != nil { // the connection that lives leads where it did
			t.Errorf("the connection that lives: %v", err)
		}
		shared.Cut(false)
		begun := time.Now()
		for name, use := range map[string]func() error{
			"metadata": func() error { _, err := c.Topics(t.Context()); return err },
			"create":   func() error { _, err := c.Admin().CreateTopic(t.Context(), 1, 1, nil, "made"); return err },
			"delete":   func() error { _, err := c.Admin().DeleteTopic(t.Context(), "orders"); return err },
			"groups":   func() error { _, err := c.Admin().ListGroups(t.Context()); return err },
		} {
			var wrong *rawkafka.WrongClusterError
			if err := use(); !errors.As(err, &wrong) || wrong.Want != one.ID() || wrong.Got != other.ID() {
				t.Errorf("%s: error %v, want the two clusters' IDs", name, err)
			}
		}
		time.Sleep(3 * time.Second) //nolint:forbidigo // simulated time
		if wrong, _ := c.Wrong(); wrong == nil || wrong.Got != other.ID() {
			t.Errorf("Wrong() is %v", wrong)
		}
		for name, n := range asked() {
			if name != "ApiVersions" && name != "Metadata" {
				t.Errorf("the stranger got %d %s", n, name)
			}
		}
		if n, most := asked()["Metadata"], 3*(2+int(time.Since(begun)/time.Second)); n > most {
			t.Errorf("the stranger was asked %d times, more than %d: each address once a second", n, most)
		}
		if !slices.ContainsFunc(log.all(), func(l string) bool { return strings.Contains(l, one.ID()) && strings.Contains(l, other.ID()) }) {
			t.Errorf("the log has %q", log.all())
		}
		shared.Turn(false)
		time.Sleep(2 * time.Second) //nolint:forbidigo // simulated time
		if topics, err := c.Topics(t.Context(), "orders"); err != nil || topics["orders"].Err != nil {
			t.Errorf("the right cluster again: %v, %v", err, topics["orders"].Err)
		}
		if wrong, _ := c.Wrong(); wrong != nil {
			t.Errorf("Wrong() is %v after the right cluster answered", wrong)
		}
	})
}

// TestBoundedEndsAfterHalfAMinute has another cluster answer for a while that a job bears, and then
// for longer.
func TestBoundedEndsAfterHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		other := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		shared := testkafka.Share(one, other)
		c, err := rawkafka.Connect(t.Context(), shared.Opts(), rawkafka.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask := func(ctx context.Context) error {
			for {
				if _, err := c.Topics(ctx); ctx.Err() != nil {
					return context.Cause(ctx)
				} else if err == nil {
					if err := rawkafka.Sleep(ctx, time.Second); err != nil {
						return err
					}
				}
			}
		}
		ctx, done := c.Bounded(t.Context())
		go func() {
			time.Sleep(time.Minute) //nolint:forbidigo // simulated time
			shared.Turn(true)
			shared.Cut(false)
			time.Sleep(20 * time.Second) //nolint:forbidigo // simulated time
			shared.Turn(false)
			time.Sleep(time.Minute) //nolint:forbidigo // simulated time
			shared.Turn(true)
			shared.Cut(false)
		}()
		begun := time.Now()
		err = done(ask(ctx))
		var wrong *rawkafka.WrongClusterError
		if took := time.Since(begun); !errors.As(err, &wrong) || took < 169*time.Second || took > 173*time.Second {
			t.Errorf("ended after %v: %v", took, err)
		}
		ctx, done = c.Bounded(t.Context())
		own := errors.New("the job's own")
		if err := done(own); err != own || ctx.Err() == nil { //nolint:errorlint // the same
			t.Errorf("done: %v", err)
		}
	})
}

// TestAdvertisedAddressUnreachable has a broker advertise what can't be reached: the broker, the
// address and the seeds are named within 10 s, in the log and in the error.
func TestAdvertisedAddressUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vn := new(kfake.VirtualNetwork)
		cl := testkafka.Fake(t, testkafka.Options{Brokers: 2, Network: vn})
		adm := kadm.NewClient(testkafka.Client(t, cl))
		if _, err := adm.CreateTopic(t.Context(), 8, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
		seed, away := cl.Addrs()[0], cl.Addrs()[1]
		log := &logged{}
		c, err := rawkafka.Connect(t.Context(), []kgo.Opt{kgo.SeedBrokers(seed), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != away {
				return vn.DialContext(ctx, network, addr)
			}
			select { // a black hole, until kgo's dialer would give up
			case <-time.After(10 * time.Second):
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("i/o timeout")}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})}, rawkafka.Config{Logger: slog.New(log), RetryFor: 15 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		_, err = c.Request(ctx, 1, kmsg.NewPtrDescribeClusterRequest())
		cancel()
		if err == nil {
			t.Fatal("the black hole answers")
		}
		if lines := log.all(); len(lines) != 1 || !strings.Contains(lines[0], "broker=1") || !strings.Contains(lines[0], away) || !strings.Contains(lines[0], seed) {
			t.Errorf("after 8 s the log has %q", lines)
		}
		_, err = c.Request(t.Context(), 1, kmsg.NewPtrDescribeClusterRequest())
		var unreachable *rawkafka.UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Broker != 1 || unreachable.Addr != away || !slices.Equal(unreachable.Seeds, []string{seed}) {
			t.Errorf("error %v", err)
		}
		if !rawkafka.Retriable(err) {
			t.Errorf("%v isn't tried again", err)
		}
	})
}

// TestCallersDialer holds that a dialer among the options is used, and that no hook sees a client
// that isn't used.
func TestCallersDialer(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	var mu sync.Mutex
	dialed := 0
	hook := &countsClients{}
	c, err := rawkafka.Connect(t.Context(), append(cl.Opts(), kgo.WithHooks(hook), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		dialed++
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, addr)
	})), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	mu.Lock()
	defer mu.Unlock()
	if dialed == 0 || hook.clients != 1 {
		t.Errorf("the caller's dialer was called %d times, its hook saw %d clients", dialed, hook.clients)
	}
}

type countsClients struct{ clients int }

func (h *countsClients) OnNewClient(*kgo.Client) { h.clients++ }
