package failover

import (
	"context"
	"net"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// noting notes in cs what dial opens.
func noting(cs *rawkafka.Conns, dial lease.DialFunc) lease.DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		c, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		noted := &notedConn{c, cs}
		if !cs.Add(noted) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		return noted, nil
	}
}

type notedConn struct {
	net.Conn
	cs *rawkafka.Conns
}

func (c *notedConn) Close() error {
	c.cs.Remove(c)
	return c.Conn.Close()
}
