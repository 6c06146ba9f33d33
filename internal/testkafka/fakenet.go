package testkafka

import (
	"fmt"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// fakeNet stands between kfake and its network, with a gate per broker that can be cut or paused.
type fakeNet struct {
	inner listenFunc
	mu    sync.Mutex
	gates []*gate // by broker: kfake listens for brokers 0, 1, … in order, and again when one is added
}

func newFakeNet(vn *kfake.VirtualNetwork) *fakeNet {
	if vn != nil {
		return &fakeNet{inner: vn.Listen}
	}
	return &fakeNet{inner: net.Listen}
}

func (n *fakeNet) listen(network, address string) (net.Listener, error) {
	ln, err := n.inner(network, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, g := range n.gates {
		if fmt.Sprint(g.port) == port {
			return &gatedListener{ln, g}, nil
		}
	}
	g := &gate{addr: ln.Addr().String(), running: closedChan()}
	_, _ = fmt.Sscan(port, &g.port)
	n.gates = append(n.gates, g)
	return &gatedListener{ln, g}, nil
}

func (n *fakeNet) gate(broker int32) *gate {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gates[broker]
}

func (n *fakeNet) addrs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var as []string
	for _, g := range n.gates {
		as = append(as, g.addr)
	}
	return as
}

func (n *fakeNet) openAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.gates {
		g.resume()
	}
}

// gate is one broker's way to the network.
type gate struct {
	addr string
	port int

	mu      sync.Mutex
	closed  bool
	paused  bool
	running chan struct{} // closed while not paused
	conns   map[net.Conn]struct{}
}

// cut closes all connections and refuses new ones.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}

func (g *gate) pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.paused {
		g.paused, g.running = true, make(chan struct{})
	}
}

func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused {
		g.paused = false
		close(g.running)
	}
}

func (g *gate) add(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	if g.conns == nil {
		g.conns = map[net.Conn]struct{}{}
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *gate) remove(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *gate) wait() {
	g.mu.Lock()
	ch := g.running
	g.mu.Unlock()
	<-ch
}

type gatedListener struct {
	net.Listener
	g *gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.g.add(c) {
			return &gatedConn{c, l.g}, nil
		}
		_ = c.Close()
	}
}

type gatedConn struct {
	net.Conn
	g *gate
}

// Read waits on both sides of the read, so that a request that arrives during a pause isn't seen
// before it ends.
func (c *gatedConn) Read(p []byte) (int, error) {
	c.g.wait()
	n, err := c.Conn.Read(p)
	c.g.wait()
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	c.g.wait()
	return c.Conn.Write(p)
}

func (c *gatedConn) Close() error {
	c.g.remove(c.Conn)
	return c.Conn.Close()
}

func closedChan() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}
