package failover

import (
	"context"
	"net"
	"sync"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
)

// conns are a kgo client's open connections. Safe for concurrent use.
type conns struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
	over bool
}

// dialer notes what dial opens.
func (cs *conns) dialer(dial lease.DialFunc) lease.DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		c, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		noted := &notedConn{c, cs}
		if !cs.add(noted) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		return noted, nil
	}
}

func (cs *conns) add(c net.Conn) bool {
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

// cut closes all connections, and refuses new ones. TLS takes its time to say goodbye to a peer that doesn't listen: they are closed side by side.
func (cs *conns) cut() {
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

type notedConn struct {
	net.Conn
	cs *conns
}

func (c *notedConn) Close() error {
	c.cs.mu.Lock()
	delete(c.cs.open, c)
	c.cs.mu.Unlock()
	return c.Conn.Close()
}
