package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/storage"
)

// follow backs a cluster up until the context ends, and then commits what was read.
func (a *app) follow(ctx context.Context, f *backupFlags, arch *storage.Archive) error {
	p := a.startProgress("follow")
	defer p.end()
	printer := &snapshotPrinter{app: a, last: time.Now()}
	cfg := backup.FollowerConfig{Config: f.config(a, arch), Every: f.every, Flush: f.flush}
	cfg.Hooks = a.backupHooks(p)
	cfg.Hooks.OnSnapshot = printer.print

	m := newMetrics(f.every)
	m.count(&cfg.Hooks)
	follower, err := backup.NewFollower(cfg)
	if err != nil {
		return err
	}
	printer.status = follower.Status
	m.status = follower.Status
	return a.serveMetrics(ctx, f.metrics, m.handler(), func() error {
		return errors.Join(a.runFollower(ctx, follower), printer.err)
	})
}

// runFollower runs a follower; when ctx ends it is stopped in the clean way.
func (a *app) runFollower(ctx context.Context, follower *backup.Follower) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- follower.Run(running) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, done := context.WithTimeout(running, commitWithin)
	defer done()
	err := follower.Stop(stopping)
	cancel()
	return errors.Join(err, ignoreCanceled(<-ended), context.Cause(ctx))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// snapshotPrinter prints each full snapshot of a follower.
type snapshotPrinter struct {
	app    *app
	status func() backup.Status

	mu   sync.Mutex
	last time.Time
	seen backup.Status
	err  error // of standard output
}

// print is an OnSnapshot hook. Records, bytes and objects are those since the snapshot before.
func (p *snapshotPrinter) print(info storage.Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.status()
	d := backedUpOf(&backup.Result{
		Snapshot: info, Records: now.Records - p.seen.Records, Bytes: now.Bytes - p.seen.Bytes, Objects: now.Objects - p.seen.Objects,
		Duration: millis.Duration(time.Since(p.last)),
	})
	p.seen, p.last = now, time.Now()
	var err error
	if p.app.json {
		err = p.app.jsonLine(d)
	} else {
		err = p.app.printf("%s\n", followLine(d))
	}
	if p.err == nil {
		p.err = err
	}
}

func followLine(d backedUp) string {
	return fmt.Sprintf("snapshot %s at %s: %d topics, %d partitions, %d records; added %d records, %s in %d objects",
		d.Snapshot, d.CreatedAt.UTC().Format(time.RFC3339), d.Topics, d.Partitions, d.Total.Records, d.Records, units.Size(d.Bytes), d.Objects)
}
