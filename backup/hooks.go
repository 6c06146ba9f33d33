package backup

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/kafkadr/kafkadr/storage"
)

// hooks calls the caller's, one at a time.
type hooks struct {
	mu      sync.Mutex
	h       Hooks
	logger  *slog.Logger
	retries atomic.Int64
}

func (h *hooks) commit(info storage.Info) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case info.Flush && h.h.OnFlush != nil:
		h.h.OnFlush(info)
	case !info.Flush && h.h.OnSnapshot != nil:
		h.h.OnSnapshot(info)
	}
}

func (h *hooks) hole(p *part, hole storage.Hole) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnHole != nil {
		h.h.OnHole(p.Topic, p.Partition.Partition, hole)
	}
}

func (h *hooks) truncated(err *TruncatedError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnTruncated != nil {
		h.h.OnTruncated(err)
	}
}

func (h *hooks) incarnation(t storage.Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnIncarnation != nil {
		h.h.OnIncarnation(t)
	}
}

func (h *hooks) retry(op string, err error) {
	h.retries.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnRetry != nil {
		h.h.OnRetry(op, err)
	}
}

func (h *hooks) wrong(err *WrongClusterError) {
	h.logger.Warn("another cluster answers; nothing of it is archived", "addr", err.Addr, "want", err.Want, "got", err.Got)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnWrongCluster != nil {
		h.h.OnWrongCluster(err)
	}
}

func (h *hooks) unreachable(err *UnreachableError) {
	h.logger.Warn("a broker can't be reached at the address that it advertises", "broker", err.Broker, "addr", err.Addr, "seeds", err.Seeds, "err", err.Err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnUnreachable != nil {
		h.h.OnUnreachable(err)
	}
}

func (h *hooks) progress(s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.OnProgress != nil {
		h.h.OnProgress(s)
	}
}
