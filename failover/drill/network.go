package drill

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// DialFunc opens a connection, as [kgo.Dialer] takes it.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Network is an [Injector] that hits the connections of those who dial through it, and leaves the
// clusters alone: the brokers talk to each other as before, and so does whoever dials by himself.
// It can be used with any cluster, and by several goroutines.
//
// A killed broker refuses connections and breaks those that are open. From a blackholed one nothing
// comes, and what is sent to it is gone; when it is healed, its connections break.
type Network struct {
	dial    DialFunc
	brokers map[Place][]string

	mu     sync.Mutex
	faults []Fault
	conns  map[*conn]struct{}
	change chan struct{} // closed at the next heal
}

// NewNetwork makes a network without faults. brokers are the addresses of a cluster's brokers, as
// it advertises them, for faults that name some; nil where none do. dial opens the connections:
// with TLS, it does the handshake. Default: as a [net.Dialer] does.
func NewNetwork(brokers map[Place][]string, dial DialFunc) *Network {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &Network{dial: dial, brokers: brokers, conns: map[*conn]struct{}{}, change: make(chan struct{})}
}

// Dialer is for the clients of a place, for [kgo.Dialer]. Faults on any of the places hit them: a
// mirror's clients have a cluster and [Mirror].
func (n *Network) Dialer(places ...Place) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		w := way{places, addr}
		if err := n.await(ctx, w); err != nil {
			return nil, err
		}
		inner, err := n.dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, net: n, way: w, closed: make(chan struct{})}
		n.mu.Lock()
		n.conns[c] = struct{}{}
		n.mu.Unlock()
		if n.state(w).killed { // meanwhile
			_ = c.Close()
			return nil, refused(network)
		}
		return c, nil
	}
}

// dialTimeout bounds a dial into a black hole, as clients' own does without a network between.
const dialTimeout = 10 * time.Second

// await returns when a dial may go on.
func (n *Network) await(ctx context.Context, w way) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	for {
		n.mu.Lock()
		change := n.change
		n.mu.Unlock()
		s := n.state(w)
		if s.killed {
			return refused("tcp")
		}
		if !s.swallowed {
			return pause(ctx, s.latency)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("dial %s: %w", w.addr, context.Cause(ctx))
		}
	}
}

func refused(network string) error {
	return &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// way is who a connection is between.
type way struct {
	places []Place
	addr   string
}

// state is what becomes of a connection.
type state struct {
	killed, swallowed bool
	latency           time.Duration
}

func (n *Network) state(w way) (s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.faults {
		if !n.hits(f, w) {
			continue
		}
		switch f.Kind {
		case Kill, Flap:
			s.killed = true
		case Blackhole:
			s.swallowed = true
		case Slow:
			s.latency += time.Duration(f.Latency)
		}
	}
	return s
}

func (n *Network) hits(f Fault, w way) bool {
	if !slices.Contains(w.places, f.On) {
		return false
	}
	return len(f.Brokers) == 0 || slices.ContainsFunc(f.Brokers, func(b int) bool { return n.brokers[f.On][b] == w.addr })
}

// Inject begins a fault. One on a broker whose address isn't known is an error.
func (n *Network) Inject(_ context.Context, f Fault) error {
	for _, b := range f.Brokers {
		if b >= len(n.brokers[f.On]) {
			return fmt.Errorf("drill: %s: the addresses of %d brokers are known", f, len(n.brokers[f.On]))
		}
	}
	n.mu.Lock()
	n.faults = append(n.faults, f)
	n.mu.Unlock()
	if f.Kind == Kill || f.Kind == Flap {
		n.cut(f)
	}
	return nil
}

// Heal ends it.
func (n *Network) Heal(_ context.Context, f Fault) error {
	n.mu.Lock()
	i := slices.IndexFunc(n.faults, f.equal)
	if i < 0 {
		n.mu.Unlock()
		return nil
	}
	n.faults = slices.Delete(n.faults, i, i+1)
	close(n.change)
	n.change = make(chan struct{})
	n.mu.Unlock()
	if f.Kind == Blackhole { // there are holes in what they carried
		n.cut(f)
	}
	return nil
}

// cut closes the connections that a fault hits.
func (n *Network) cut(f Fault) {
	n.mu.Lock()
	var hit []*conn
	for c := range n.conns {
		if n.hits(f, c.way) {
			hit = append(hit, c)
		}
	}
	n.mu.Unlock()
	for _, c := range hit {
		_ = c.Close()
	}
}

func (f Fault) equal(o Fault) bool {
	return f.Kind == o.Kind && f.On == o.On && f.From == o.From && f.After == o.After && slices.Equal(f.Brokers, o.Brokers)
}

// conn is a connection that faults can hit.
type conn struct {
	net.Conn
	net    *Network
	way    way
	once   sync.Once
	closed chan struct{}
}

// Read drops what comes out of a black hole.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.net.state(c.way).swallowed {
			return n, err
		}
	}
}

// Write takes its time, or says that all is sent and drops it.
func (c *conn) Write(p []byte) (int, error) {
	s := c.net.state(c.way)
	if s.latency > 0 {
		timer := time.NewTimer(s.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
		}
	}
	if s.swallowed {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c)
		c.net.mu.Unlock()
	})
	return c.Conn.Close()
}
