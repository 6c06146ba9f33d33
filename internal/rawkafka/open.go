package rawkafka

import (
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// openHook notes a client's open connections.
type openHook struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
	over bool
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h *openHook) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	if err != nil || conn == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		_ = conn.Close()
		return
	}
	if h.open == nil {
		h.open = make(map[net.Conn]struct{})
	}
	h.open[conn] = struct{}{}
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (h *openHook) OnBrokerDisconnect(_ kgo.BrokerMetadata, conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, conn)
}

// cut closes them: kgo's Close waits for what some of them read, which of a cluster that is away takes until its timeout. TLS takes its time to say goodbye to a peer that doesn't
// listen: they are closed side by side.
func (h *openHook) cut() {
	h.mu.Lock()
	open := h.open
	h.open, h.over = nil, true
	h.mu.Unlock()
	var wg sync.WaitGroup
	for c := range open {
		wg.Go(func() { _ = c.Close() })
	}
	wg.Wait()
}
