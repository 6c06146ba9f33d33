package rawkafka

import (
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// openHook notes a client's open connections. They are cut where kgo's Close would wait for what
// some of them read, which of a cluster that is away takes until its timeout.
type openHook struct{ Conns }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h *openHook) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	if err == nil && conn != nil && !h.Add(conn) {
		_ = conn.Close()
	}
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (h *openHook) OnBrokerDisconnect(_ kgo.BrokerMetadata, conn net.Conn) { h.Remove(conn) }
