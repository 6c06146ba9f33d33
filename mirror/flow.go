package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

// flow is a mirror's two clusters, by one name, and what is asked of them: what a plan, an
// observation and a mirror have in common. It knows of no partition what becomes of it. Its
// catalogs are used by one goroutine.
type flow struct {
	cfg     Config
	hooks   *hooks
	sel     *selection
	started time.Time

	source, target *rawkafka.Cluster
	// near and far are the same connections, with less patience: for a loop, which has others to
	// look after.
	near, far *rawkafka.Cluster
	ledger    *ledger.Ledger // the target's
	back      *ledger.Ledger // the source's own; nil where it wasn't opened, or may not be read

	// What is known of the topics of both sides, and of those that went while no mirror ran.
	sources, copies, meanwhile *source.Catalog
}

const (
	// impatience is how long the loop waits for leaders.
	impatience = time.Second
	// lookFor is the deadline of each of its requests.
	lookFor = 5 * time.Second
)

// onFlow does something with the flow of a configuration, which need not be complete.
func onFlow[T any](ctx context.Context, cfg Config, do func(*flow, context.Context) (T, error)) (none T, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return none, err
	}
	fl, err := connect(ctx, cfg)
	if err != nil {
		return none, err
	}
	defer fl.close()
	return do(fl, ctx)
}

// connect connects to both clusters.
func connect(ctx context.Context, cfg Config) (*flow, error) {
	sel, err := newSelection(cfg)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	fl := &flow{
		cfg: cfg, sel: sel, hooks: newHooks(cfg), started: time.Now(),
		sources: source.New(cfg.Discover / 2), copies: source.New(cfg.Discover / 2), meanwhile: source.New(cfg.Discover / 2),
	}
	rc := rawkafka.Config{ClientID: cfg.ClientID, Logger: cfg.Logger, OnRetry: fl.hooks.retry, RetryFor: cfg.tuning.retryFor}
	if err := fl.open(ctx, rc); err != nil {
		fl.close()
		return nil, err
	}
	fl.near, fl.far = fl.source.Hasty(lookFor, impatience), fl.target.Hasty(lookFor, impatience)
	if cfg.Heartbeat > 0 {
		fl.sel.own = fl.heartbeatTopic()
	}
	return fl, nil
}

// open connects to both clusters at once, and reads the target's ledger. Where both fail, the
// source's error counts.
func (fl *flow) open(ctx context.Context, rc rawkafka.Config) error {
	tctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		var err error
		if fl.target, err = rawkafka.Connect(tctx, fl.cfg.Target, fl.hooks.told(sideTarget, rc)); err == nil {
			fl.ledger, err = ledger.Open(tctx, fl.target)
		}
		opened <- err
	}()
	var err error
	if fl.source, err = rawkafka.Connect(ctx, fl.cfg.Source, fl.hooks.told(sideSource, rc)); err != nil {
		cancel()
		<-opened
		return fmt.Errorf("mirror: source: %w", err)
	}
	if err := <-opened; err != nil {
		return fmt.Errorf("mirror: target: %w", err)
	}
	return nil
}

func (fl *flow) close() {
	for _, c := range []*rawkafka.Cluster{fl.source, fl.target} {
		if c != nil {
			c.Close()
		}
	}
}

// openBack reads the source's own ledger. Where it may not be read, nothing is known of copies
// there: the warning says so.
func (fl *flow) openBack(ctx context.Context) (warning string, err error) {
	fl.back, err = ledger.Open(ctx, fl.source)
	var denied *ledger.DeniedError
	if errors.As(err, &denied) {
		return fmt.Sprintf("what the source is a standby for isn't known, so loops aren't seen: %v", err), nil
	}
	if err != nil {
		return "", fmt.Errorf("mirror: source: %w", err)
	}
	return "", nil
}

// copyID names the copy: the same as restore's, so that a mirror carries on what was restored.
func copyID(sourceCluster string) string { return "kafkadr-copy-" + sourceCluster }

func wrap(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), "mirror: ") {
		return err
	}
	return fmt.Errorf("mirror: %w", err)
}
