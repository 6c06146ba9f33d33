package lease

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// switched is a guard that refuses Produce while it is on, and counts what it is asked for.
type switched struct {
	on      atomic.Bool
	mu      sync.Mutex
	counts  map[int16]int
	refused chan struct{} // closed at the first refusal
	once    sync.Once
}

func newSwitched() *switched {
	return &switched{counts: map[int16]int{}, refused: make(chan struct{})}
}

func (s *switched) guard(key int16) error {
	s.mu.Lock()
	s.counts[key]++
	s.mu.Unlock()
	if s.on.Load() && key == 0 {
		s.once.Do(func() { close(s.refused) })
		return errRefused
	}
	return nil
}

func (s *switched) count(key int16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[key]
}

// TestOptsTLS refuses and admits through TLS and SASL: what is refused stays in the client and goes
// out when it is admitted.
func TestOptsTLS(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{Secure: true})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	adm := kadm.NewClient(testkafka.Client(t, cl))
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	s := newSwitched()
	opts, err := Opts(cl.Opts(), s.guard)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if s.count(0) == 0 || s.count(3) == 0 || s.count(36) == 0 {
		t.Fatalf("the guard was asked for %v: not for Produce, Metadata and SASLAuthenticate", s.counts)
	}
	s.on.Store(true)
	acked := make(chan error, 1)
	c.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte("2")}, func(_ *kgo.Record, err error) { acked <- err })
	<-s.refused
	ends, err := adm.ListEndOffsets(ctx, "orders")
	if o, _ := ends.Lookup("orders", 0); err != nil || o.Offset != 1 {
		t.Fatalf("end offset %d while Produce is refused: %v", o.Offset, err)
	}
	select {
	case err := <-acked:
		t.Fatalf("a refused record was answered: %v", err)
	default:
	}
	s.on.Store(false)
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
}

// TestServerName holds that TLS is as kgo does it: the host dialed is the server name.
func TestServerName(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for config, want := range map[*tls.Config]string{{}: "localhost", {ServerName: "broker.example"}: "broker.example"} {
		opts, err := Opts([]kgo.Opt{kgo.DialTLSConfig(config), kgo.DialTimeout(5 * time.Second)}, func(int16) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		c, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		dial, err := Dialer(c, func(int16) error { return nil })
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				asked <- h.ServerName
				return nil, errors.New("that is all")
			}}).Handshake()
		}()
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		if _, err := dial(t.Context(), "tcp", net.JoinHostPort("localhost", port)); err == nil {
			t.Fatal("dialed through a handshake that failed")
		}
		if got := <-asked; got != want {
			t.Errorf("server name %q, want %q", got, want)
		}
	}
}

// TestOptsDialer keeps a dialer that the options have, and consumes as well.
func TestOptsDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := testkafka.Fake(t, testkafka.Options{Network: &kfake.VirtualNetwork{}})
		if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
		l := New(Config{Lease: length, Clock: Go})
		l.Confirm(l.Begin())
		opts, err := Opts(append(cl.Opts(), kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g")), func(key int16) error {
			if key == 0 {
				return l.Err()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		_ = l.Wait(t.Context())
		acked := make(chan error, 1)
		c.Produce(t.Context(), &kgo.Record{Topic: "orders"}, func(_ *kgo.Record, err error) { acked <- err })
		if n := c.PollFetches(t.Context()).NumRecords(); n != 1 {
			t.Fatalf("%d records, want 1", n)
		}
		<-time.After(time.Minute)
		c.Close() // nothing else ends a record whose request was refused: kgo doesn't know that no byte was sent
		if err := <-acked; !errors.Is(err, kgo.ErrClientClosed) {
			t.Fatalf("a record without a lease: %v", err)
		}
	})
}

func TestOptsWrong(t *testing.T) {
	if _, err := Opts([]kgo.Opt{kgo.DialTLS(), kgo.Dialer((&net.Dialer{}).DialContext)}, nil); err == nil {
		t.Fatal("wrong options are taken")
	}
}
