package testkafka

import (
	"context"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Shared are addresses behind which there are two clusters: connections lead to the one, and after
// Turn those that are opened lead to the other. Methods are safe for concurrent use.
type Shared struct {
	one   Cluster
	other map[string]string // addresses by those of one's brokers
	dial  map[bool]dialFunc // whether to the other

	mu     sync.Mutex
	turned bool
	conns  map[net.Conn]bool // whether they lead to the other
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Share puts other behind the addresses of one, without TLS. In memory each may live on a network
// of its own.
func Share(one, other Cluster) *Shared {
	s := &Shared{
		one: one, other: map[string]string{}, dial: map[bool]dialFunc{false: dialerOf(one), true: dialerOf(other)}, conns: map[net.Conn]bool{},
	}
	addrs := other.Addrs()
	for i, a := range one.Addrs() {
		s.other[a] = addrs[i%len(addrs)]
	}
	return s
}

func dialerOf(cl Cluster) dialFunc {
	if f, ok := cl.(*fake); ok && f.network != nil {
		return f.network.DialContext
	}
	return new(net.Dialer).DialContext
}

// Opts are those of a client with all rights that was given one's addresses.
func (s *Shared) Opts() []kgo.Opt {
	return append(s.one.Opts(), kgo.Dialer(s.open))
}

// Turn makes connections that are opened from now on lead to the other cluster, or back. Those that
// are open stay.
func (s *Shared) Turn(toOther bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turned = toOther
}

// Cut closes the connections that are open to one, or to the other.
func (s *Shared) Cut(toOther bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, other := range s.conns {
		if other == toOther {
			_ = c.Close()
			delete(s.conns, c)
		}
	}
}

func (s *Shared) open(ctx context.Context, network, addr string) (net.Conn, error) {
	s.mu.Lock()
	turned := s.turned
	s.mu.Unlock()
	if to, ok := s.other[addr]; turned && ok {
		addr = to
	}
	c, err := s.dial[turned](ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = turned
	return c, nil
}
