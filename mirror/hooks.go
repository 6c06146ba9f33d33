package mirror

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// hooks calls the caller's, one at a time.
type hooks struct {
	h      Hooks
	logger *slog.Logger

	retries atomic.Int64

	mu     sync.Mutex
	counts map[EventKind]int64
	recent []Event
	called sync.Mutex
}

// maxRecent is how many events a Status has.
const maxRecent = 64

func newHooks(cfg Config) *hooks {
	return &hooks{h: cfg.Hooks, logger: cfg.Logger, counts: make(map[EventKind]int64)}
}

func (h *hooks) event(ev Event) {
	h.mu.Lock()
	h.counts[ev.Kind]++
	h.recent = append(h.recent, ev)
	if n := len(h.recent) - maxRecent; n > 0 {
		h.recent = append(h.recent[:0], h.recent[n:]...)
	}
	h.mu.Unlock()
	level := slog.LevelWarn
	if ev.Kind == Recovered {
		level = slog.LevelInfo
	}
	h.logger.LogAttrs(context.Background(), level, string(ev.Kind), ev.attrs()...)
	h.called.Lock()
	defer h.called.Unlock()
	if h.h.OnEvent != nil {
		h.h.OnEvent(ev)
	}
}

func (h *hooks) retry(op string, err error) {
	h.retries.Add(1)
	h.called.Lock()
	defer h.called.Unlock()
	if h.h.OnRetry != nil {
		h.h.OnRetry(op, err)
	}
}

func (h *hooks) topic(t *topic) {
	h.called.Lock()
	defer h.called.Unlock()
	if h.h.OnTopic != nil {
		h.h.OnTopic(t.source, t.target)
	}
}

func (h *hooks) progress(status func() Status) {
	if h.h.OnProgress == nil {
		return
	}
	s := status()
	h.called.Lock()
	defer h.called.Unlock()
	h.h.OnProgress(s)
}
