package mirror

import (
	"context"
	"fmt"
	"sync"
)

// Mirror copies a live cluster to a standby.
type Mirror struct {
	cfg Config

	stop, done chan struct{}

	mu            sync.Mutex
	e             *engine
	cancel        context.CancelFunc
	ran, stopping bool
}

// New validates the configuration; it does no I/O. Errors are a *[ConfigError].
func New(cfg Config) (*Mirror, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Mirror{cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}, nil
}

// Run mirrors until the context ends, which is the error, or [Mirror.Stop], or, with [Config.Once],
// until all is done: then it returns nil, or a *[StoppedError] where partitions had to be left, and
// an error too where groups or configs couldn't be brought in step. A plan with conflicts is a
// *[RefusedError]. Once it runs, both clusters may be away for as long as they like. It runs once.
func (m *Mirror) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	ran := m.ran
	m.ran, m.cancel = true, cancel
	m.mu.Unlock()
	if ran {
		return errRanAlready
	}
	defer close(m.done)
	return m.run(ctx)
}

// Stop ends Run cleanly: what was read is durable on the standby, positions are noted, and Run has
// returned nil. Where ctx ends first, Run is ended hard and ctx's error returned: nothing is lost
// by that either.
func (m *Mirror) Stop(ctx context.Context) error {
	m.mu.Lock()
	if !m.stopping {
		m.stopping = true
		close(m.stop)
	}
	ran := m.ran
	m.mu.Unlock()
	if !ran {
		return nil
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	cancel := m.cancel
	m.mu.Unlock()
	cancel()
	<-m.done
	return fmt.Errorf("mirror: stop: %w", context.Cause(ctx))
}

// Retry looks again at partitions that an event has stopped: all of them, or those of the source's
// topics that are named. Topics that the target has refused are tried again too.
func (m *Mirror) Retry(topics ...string) {
	if e := m.engine(); e != nil {
		e.retry(topics)
	}
}

// Status is where the mirror stands. It may be called at any time.
func (m *Mirror) Status() Status {
	if e := m.engine(); e != nil {
		return e.status()
	}
	return unknown(m.cfg.Name)
}

// engine is what runs, or nil before.
func (m *Mirror) engine() *engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.e
}
