package drill

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers what it gets, over pipes in memory.
func echo(t *testing.T) DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(theirs, theirs) }()
		t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
		return ours, nil
	}
}

// ask sends a word and waits a second for the same.
func ask(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

func dial(t *testing.T, d DialFunc, addr string) net.Conn {
	t.Helper()
	c, err := d(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(map[Place][]string{Primary: {"a", "b"}}, echo(t))
		app, mirror, standby := n.Dialer(Primary), n.Dialer(Primary, Mirror), n.Dialer(Standby)
		conns := map[string]net.Conn{"a": dial(t, app, "a"), "b": dial(t, app, "b"), "mirror": dial(t, mirror, "a"), "standby": dial(t, standby, "c")}
		// state says what each connection does, then replaces those that are broken.
		check := func(f Fault, want map[string]error, dialled map[string]error) {
			t.Helper()
			if err := n.Inject(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			for name, c := range conns {
				if err := ask(c); !errors.Is(err, want[name]) {
					t.Errorf("%s: %s: %v; want %v", f, name, err, want[name])
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for addr, want := range dialled {
				if _, err := app(ctx, "tcp", addr); !errors.Is(err, want) {
					t.Errorf("%s: dial %s: %v; want %v", f, addr, err, want)
				}
			}
			if err := n.Heal(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if f.Kind != Slow {
				conns["a"], conns["b"], conns["mirror"] = dial(t, app, "a"), dial(t, app, "b"), dial(t, mirror, "a")
			}
			for name, c := range conns {
				if err := ask(c); err != nil {
					t.Errorf("%s: %s, healed: %v", f, name, err)
				}
			}
		}
		check(Fault{Kind: Kill, On: Primary},
			map[string]error{"a": io.ErrClosedPipe, "b": io.ErrClosedPipe, "mirror": io.ErrClosedPipe},
			map[string]error{"a": syscall.ECONNREFUSED})
		check(Fault{Kind: Kill, On: Primary, Brokers: []int{1}},
			map[string]error{"b": io.ErrClosedPipe},
			map[string]error{"a": nil, "b": syscall.ECONNREFUSED})
		check(Fault{Kind: Blackhole, On: Primary},
			map[string]error{"a": os.ErrDeadlineExceeded, "b": os.ErrDeadlineExceeded, "mirror": os.ErrDeadlineExceeded},
			map[string]error{"b": context.DeadlineExceeded})
		check(Fault{Kind: Blackhole, On: Mirror}, map[string]error{"mirror": os.ErrDeadlineExceeded}, map[string]error{"a": nil})
		begin := time.Now()
		check(Fault{Kind: Slow, On: Standby, Latency: Duration(500 * time.Millisecond)}, nil, map[string]error{"a": nil})
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("slow by %v", took)
		}
	})
}

// A dial into a black hole goes on when that is healed, and ends by itself.
func TestNetworkDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(nil, echo(t))
		f := Fault{Kind: Blackhole, On: Primary}
		_ = n.Inject(t.Context(), f)
		begin := time.Now()
		if _, err := n.Dialer(Primary)(t.Context(), "tcp", "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != dialTimeout {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		heal := time.AfterFunc(time.Second, func() { _ = n.Heal(t.Context(), f) })
		defer heal.Stop()
		if err := ask(dial(t, n.Dialer(Primary), "a")); err != nil {
			t.Error(err)
		}
	})
}

func TestNetworkUnknownBroker(t *testing.T) {
	if err := NewNetwork(nil, nil).Inject(t.Context(), Fault{Kind: Kill, On: Primary, Brokers: []int{0}}); err == nil {
		t.Error("a broker that isn't known was killed")
	}
}

func TestByPlace(t *testing.T) {
	n := NewNetwork(nil, nil)
	b := ByPlace{Primary: n}
	if err := b.Inject(t.Context(), Fault{Kind: Kill, On: Mirror}); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	f := Fault{Kind: Kill, On: Primary}
	if err := b.Inject(t.Context(), f); err != nil || len(n.faults) != 1 {
		t.Error(err, n.faults)
	}
	if err := errors.Join(b.Heal(t.Context(), f), b.Heal(t.Context(), Fault{On: Mirror})); err != nil || len(n.faults) != 0 {
		t.Error(err, n.faults)
	}
}
