package backup

import "context"

// Follower backs a cluster up continuously.
type Follower struct{}

// NewFollower validates the configuration; it does no I/O.
func NewFollower(cfg FollowerConfig) (*Follower, error) { panic("TODO") }

// Run follows until the context ends, which commits nothing more, or Stop, which commits what is durable and makes Run return nil.
func (f *Follower) Run(ctx context.Context) error { panic("TODO") }

// Stop ends Run cleanly: what was read is flushed and committed.
func (f *Follower) Stop(ctx context.Context) error { panic("TODO") }

// Status is where the follower stands.
func (f *Follower) Status() Status { panic("TODO") }
