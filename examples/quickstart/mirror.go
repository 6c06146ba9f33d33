package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/mirror"
)

// runningMirror is a live copy of the primary, as a switch wants to know it: a
// failover.Replication.
type runningMirror struct {
	mirror *mirror.Mirror
	cancel context.CancelFunc
	ended  chan error
}

// startMirror copies the primary to the standby until it is stopped, and
// returns when the standby has the topic.
func startMirror(ctx context.Context, primary, standby *kfake.Cluster) (*runningMirror, error) {
	begun := make(chan string, 10)
	m, err := mirror.New(mirror.Config{
		Source:        clientOpts(primary),
		Target:        clientOpts(standby),
		GroupInterval: 100 * time.Millisecond, // committed offsets are carried this often
		Hooks:         mirror.Hooks{OnTopic: func(topic, _ string) { begun <- topic }},
	})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	r := &runningMirror{mirror: m, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- m.Run(running) }()
	select {
	case <-begun:
		return r, nil
	case err := <-r.ended:
		cancel()
		return nil, fmt.Errorf("the mirror ended: %w", err)
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	}
}

// end ends it, if it hasn't been stopped.
func (r *runningMirror) end() {
	r.cancel()
	<-r.ended
}

// Lag is what the standby lacks, as far as the mirror knows.
func (r *runningMirror) Lag(context.Context, string, string) (control.Lag, error) {
	rpo := r.mirror.Status().RPO
	return control.Lag{Records: rpo.Records, Unknown: rpo.Unknown, Age: control.Millis(time.Duration(rpo.AgeMillis) * time.Millisecond), At: time.Now()}, nil
}

// Stop ends the mirror: nothing is appended to the standby any more. Its
// source may be gone, so it isn't given long to end as it should.
func (r *runningMirror) Stop(ctx context.Context, _, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_ = r.mirror.Stop(ctx) // it has ended, cleanly or not
	return nil
}

// Drain is for planned switches, of which this story has none.
func (r *runningMirror) Drain(context.Context, string, string) error { return errors.ErrUnsupported }
