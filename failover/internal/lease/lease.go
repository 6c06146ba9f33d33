package lease

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrExpired says that the lease is over, or was never confirmed.
var ErrExpired = errors.New("lease: expired")

// Default is how long a lease lasts where nobody says otherwise.
const Default = 10 * time.Second

const (
	// drift is the part of the elapsed time by which a clock may be slow: NTP slews by at most
	// 1/2000, and a crystal is better than that.
	drift = 1000
	// looks are how often Wait looks at the clocks during one lease, because a timer doesn't see a
	// suspended machine.
	looks = 20
)

// Config is what a lease needs.
type Config struct {
	// Required.

	// Lease is how long it lasts from the start of the read that confirms it.
	Lease time.Duration

	// Optional.

	// Clock says what time it is. Default [System]. Within testing/synctest take [Go].
	Clock Clock
}

// Lease is the right to send in one epoch. It begins expired: the first [Lease.Confirm] starts it,
// a later one revives it. Safe for concurrent use.
type Lease struct {
	length time.Duration
	clock  Clock

	mu      sync.Mutex
	begun   uint64        // reads
	counted Start         // the latest confirmed one
	changed chan struct{} // closed, and made anew, when counted or ended changes
	ended   bool
}

// Start is the start of a read. The zero value confirms nothing.
type Start struct {
	at Instant
	n  uint64 // counts from 1
}

// New returns a lease that isn't valid yet.
func New(cfg Config) *Lease {
	if cfg.Clock == nil {
		cfg.Clock = System
	}
	return &Lease{length: cfg.Lease, clock: cfg.Clock, changed: make(chan struct{})}
}

// Begin notes that a read of the register begins. Call it before anything of the read is sent.
func (l *Lease) Begin() Start {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	return Start{at: l.clock(), n: l.begun}
}

// Confirm takes note that the read that began at s found the epoch to be the last one. Of several
// reads the one counts that began last, in whatever order they end.
func (l *Lease) Confirm(s Start) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.n > l.counted.n && !l.ended {
		l.counted = s
		l.wake()
	}
}

// End ends the lease for good: there is a later epoch. No read confirms it again.
func (l *Lease) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.wake()
	}
}

func (l *Lease) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Left is how much longer the lease lasts if it isn't confirmed again; 0 where it is over.
func (l *Lease) Left() time.Duration {
	left, _ := l.look()
	return left
}

// Valid says whether the lease isn't over.
func (l *Lease) Valid() bool { return l.Left() > 0 }

// Err is nil while the lease is valid, and else [ErrExpired].
func (l *Lease) Err() error {
	if l.Valid() {
		return nil
	}
	return ErrExpired
}

// Wait returns [ErrExpired] when the lease is over, at once where it is already, or the context's
// cause. It may notice a suspended machine a twentieth of the lease late: it is for giving up what
// is under way, [Lease.Valid] for what begins.
func (l *Lease) Wait(ctx context.Context) error {
	for {
		left, changed := l.look()
		if left <= 0 {
			return ErrExpired
		}
		t := time.NewTimer(min(left, max(l.length/looks, time.Millisecond)))
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-changed:
			t.Stop()
		case <-t.C:
		}
	}
}

func (l *Lease) look() (time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.counted.n == 0 {
		return 0, l.changed
	}
	passed := l.clock().Since(l.counted.at)
	return max(l.length-passed-passed/drift, 0), l.changed
}
