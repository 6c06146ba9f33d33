package rawkafka

import (
	"net"
	"sync"
)

// Conns are a client's open connections. The zero value is none. Safe for concurrent use.
type Conns struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
	over bool
}

// Add notes one that was opened. After Cut it doesn't, and says so: then it is to be closed.
func (cs *Conns) Add(c net.Conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.over {
		return false
	}
	if cs.open == nil {
		cs.open = make(map[net.Conn]struct{})
	}
	cs.open[c] = struct{}{}
	return true
}

// Remove forgets one that was closed.
func (cs *Conns) Remove(c net.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

// Cut closes all connections, and refuses new ones. TLS takes its time to say goodbye to a peer
// that doesn't listen: they are closed side by side.
func (cs *Conns) Cut() {
	cs.mu.Lock()
	open := cs.open
	cs.open, cs.over = nil, true
	cs.mu.Unlock()
	var wg sync.WaitGroup
	for c := range open {
		wg.Go(func() { _ = c.Close() })
	}
	wg.Wait()
}
