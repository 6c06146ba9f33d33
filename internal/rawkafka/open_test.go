package rawkafka

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// noted is a connection that notes whether it was closed.
type noted struct {
	net.Conn
	closed bool
}

func (n *noted) Close() error {
	n.closed = true
	return nil
}

func TestOpenHookCuts(t *testing.T) {
	var h openHook
	gone, open, late := new(noted), new(noted), new(noted)
	h.OnBrokerConnect(kgo.BrokerMetadata{}, time.Millisecond, gone, nil)
	h.OnBrokerDisconnect(kgo.BrokerMetadata{}, gone)
	h.OnBrokerConnect(kgo.BrokerMetadata{}, time.Millisecond, open, nil)
	h.OnBrokerConnect(kgo.BrokerMetadata{}, time.Millisecond, nil, net.ErrClosed)
	h.Cut()
	h.OnBrokerConnect(kgo.BrokerMetadata{}, time.Millisecond, late, nil)
	if gone.closed || !open.closed || !late.closed {
		t.Errorf("closed: %v %v %v, want all but the one that kgo has closed itself", gone.closed, open.closed, late.closed)
	}
}
