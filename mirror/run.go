package mirror

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// appendFor is how long a worker waits for the standby's leader: then the partition is looked at
// again, and the worker is another's.
const appendFor = 10 * time.Second

// connect is ended by Stop as well, without a flow then: there is nothing to be finished yet.
func (m *Mirror) connect(ctx context.Context) (*flow, error) {
	connecting, cancel := context.WithCancel(ctx)
	defer cancel()
	connected := make(chan struct{})
	defer close(connected)
	go func() {
		select {
		case <-m.stop:
			cancel()
		case <-connected:
		}
	}()
	fl, err := connect(connecting, m.cfg)
	if err != nil && connecting.Err() != nil && ctx.Err() == nil {
		return nil, nil //nolint:nilnil // stopped, which is no error
	}
	return fl, err
}

// run mirrors until the context ends, or Stop, or a Once is done.
func (m *Mirror) run(ctx context.Context) error {
	fl, err := m.connect(ctx)
	if err != nil || fl == nil {
		return err
	}
	defer fl.close()
	e := newEngine(fl)
	m.mu.Lock()
	m.e = e
	m.mu.Unlock()
	done := func(err error) error { return err }
	if e.cfg.Once {
		ctx, done = e.bounded(ctx)
	}
	if err = e.admit(ctx); err == nil {
		err = e.mirror(ctx, m.stop)
	}
	return wrap(done(err))
}

// admit announces the flow, and refuses to run against a plan with conflicts.
func (e *engine) admit(ctx context.Context) error {
	var pl *planner
	looked := make(chan error, 1)
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		var err error
		pl, err = e.newPlanner(lctx)
		looked <- err
	}()
	undo, err := e.announce(ctx)
	if err != nil {
		cancel()
		<-looked
		return err
	}
	var p *Plan
	if err = <-looked; err == nil {
		p, err = pl.plan(ctx)
	}
	if err == nil && len(p.Conflicts) > 0 {
		err = &RefusedError{Job: "mirror", Conflicts: p.Conflicts}
	}
	if err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, undo(ctx))
		}
		return err
	}
	for _, w := range p.beside {
		e.cfg.Logger.Warn(w)
	}
	e.method, e.planned = exactcopy.Method(p.HoleMethod), &looks{all: pl.all, there: pl.there}
	return nil
}

// mirror runs all of the engine's goroutines.
func (e *engine) mirror(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	e.locks = e.newLocks()
	e.copier, err = exactcopy.New(ctx, exactcopy.Config{
		Cluster: e.target, TransactionalID: copyID(e.source.ID()), QueueBytes: queueBytes(e.cfg.MemoryBytes), OnRetry: e.hooks.retry,
		RetryFor: min(appendFor, e.cfg.tuning.retryFor), Quiet: e.cfg.tuning.quiet, MayHole: e.mayHole, Method: e.method,
	})
	if err != nil {
		return err
	}
	defer e.copier.Close()
	e.side = &standby.Side{Cluster: e.target, Copier: e.copier, Locks: e.locks}
	e.reader = source.NewLoop(e.source, rawkafka.FetchConfig{
		MaxBytes: int32(min(6<<20, e.cfg.MemoryBytes/8)), Linger: fetchLinger, InTurn: true, Rack: e.cfg.Rack, Limiter: limiter(e.cfg.MaxBytesPerSecond),
	}, e)
	keep := e.newKeeper()
	e.mu.Lock()
	e.keep = keep
	e.mu.Unlock()
	e.workers = e.newWorkers(ctx)
	g, gctx := errgroup.WithContext(ctx)
	sctx, end := context.WithCancel(gctx) // of those that run beside the loop
	for _, run := range []func(context.Context) error{e.reader.Run, e.locks.Run, e.keep.run, e.heartbeats, e.noteLag, e.report, e.readOn} {
		g.Go(func() error {
			if err := run(sctx); sctx.Err() == nil || gctx.Err() != nil {
				return err
			}
			return nil // ended by the loop
		})
	}
	g.Go(func() error {
		defer end()
		return e.loop(gctx, stop)
	})
	var whole bool
	if whole, err = e.await(sctx, g); ctx.Err() == nil && whole {
		e.keep.close(ctx)
	}
	cancel()
	e.lanes.wait()
	e.workers.close()
	return err
}

// awaitFor is how long those that run beside the loop have to end after it. kgo waits for a broker
// that stands still longer than its context says.
const awaitFor = time.Second

// await waits for all goroutines of the group, and cuts the connections where some don't end in
// time after the loop has: then it isn't whole.
func (e *engine) await(over context.Context, g *errgroup.Group) (whole bool, err error) {
	ended := make(chan error, 1)
	go func() { ended <- g.Wait() }()
	<-over.Done()
	t := time.NewTimer(awaitFor)
	defer t.Stop()
	select {
	case err := <-ended:
		return true, err
	case <-t.C:
		e.close()
		return false, <-ended
	}
}

func queueBytes(memory int64) int { return int(min(max(memory/256, 64<<10), 1<<20)) }

// fetchLinger is the pause after a small response: short, for the sake of latency.
const fetchLinger = 2 * time.Millisecond
