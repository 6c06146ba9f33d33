package copylock

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/clock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Config is how Locks are kept. The zero value is the default.
type Config struct {
	// Lease is how long a look that found a topic unchanged counts. Default 1.5 s.
	Lease time.Duration
	// RetryFor is how long a claim is tried. Default 1 min.
	RetryFor time.Duration
	// OnRetry is called before something is tried again. It must be safe for concurrent use.
	OnRetry func(op string, err error)
	// Clock says how old a look is. Default [clock.System], which sees a suspended machine. Within
	// testing/synctest take [clock.Go].
	Clock clock.Clock
}

// Locks are one process's locks on a cluster's topics. Safe for concurrent use. Held needs Run.
type Locks struct {
	cl  *rawkafka.Cluster
	cfg Config

	wake chan struct{} // holds a token when a topic is asked for

	mu      sync.Mutex
	topics  map[kadm.TopicID]*lock
	waiting map[kadm.TopicID]int // how many calls of Held wait for a look
	changed chan struct{}        // closed after each look and claim
}

type lock struct {
	own       epoch
	confirmed clock.Instant // when the last look that found it unchanged was begun; zero: never
	asked     time.Time     // for, last
	lost      error
	denied    bool
}

// epoch is a transactional id's state. The producer id changes where its epochs are used up, or the
// coordinator has forgotten it.
type epoch struct {
	pid   int64
	epoch int16
}

// New makes the locks of one process. It asks nobody.
func New(cl *rawkafka.Cluster, cfg Config) *Locks {
	if cfg.Lease <= 0 {
		cfg.Lease = 1500 * time.Millisecond
	}
	if cfg.RetryFor <= 0 {
		cfg.RetryFor = time.Minute
	}
	if cfg.OnRetry == nil {
		cfg.OnRetry = func(string, error) {}
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	return &Locks{cl: cl, cfg: cfg, wake: make(chan struct{}, 1), topics: make(map[kadm.TopicID]*lock), waiting: make(map[kadm.TopicID]int), changed: make(chan struct{})}
}

// Held returns nil when the topic was found unchanged within the lease, or its lock was denied. It
// waits for a look. Errors: [ErrTakenOver], which stays until the topic is claimed again,
// [ErrNotClaimed], ctx's. A topic that nobody waits for, and nobody asked for in the last four
// leases, isn't looked at.
func (l *Locks) Held(ctx context.Context, topic kadm.TopicID) error {
	for {
		l.mu.Lock()
		t, ok := l.topics[topic]
		if !ok {
			l.mu.Unlock()
			return ErrNotClaimed
		}
		t.asked = time.Now()
		if t.lost != nil || t.denied || l.fresh(t) {
			lost := t.lost
			l.mu.Unlock()
			return lost
		}
		changed := l.changed
		l.waiting[topic]++
		l.mu.Unlock()
		if err := l.await(ctx, topic, changed); err != nil {
			return err
		}
	}
}

// await returns after the next look or claim. Run has to look at the topic as long as somebody
// waits: it may find out late, where the process was stopped between the question and the look.
func (l *Locks) await(ctx context.Context, topic kadm.TopicID, changed <-chan struct{}) error {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting[topic]--; l.waiting[topic] == 0 {
			delete(l.waiting, topic)
		}
	}()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// signal wakes those that wait in Held. The caller holds the lock.
func (l *Locks) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// fresh says whether the last look counts. A process that was stopped since, or whose machine was
// suspended, looks again. The caller holds the lock.
func (l *Locks) fresh(t *lock) bool { return l.cfg.Clock().Since(t.confirmed) < l.cfg.Lease }

// wanted are the topics to look at.
func (l *Locks) wanted() []kadm.TopicID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []kadm.TopicID
	for id, t := range l.topics {
		if t.lost == nil && !t.denied && (l.waiting[id] > 0 || time.Since(t.asked) < 4*l.cfg.Lease) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Run looks at the claimed topics that are in use, until ctx ends, whose cause it returns. A lost
// topic doesn't end the others.
func (l *Locks) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		ids := l.wanted()
		if len(ids) == 0 {
			select {
			case <-l.wake:
			case <-ctx.Done():
			}
			continue
		}
		if err := l.look(ctx, ids); err != nil && ctx.Err() == nil {
			l.cfg.OnRetry("look at the locks", err)
		}
		_ = rawkafka.Sleep(ctx, l.cfg.Lease/4)
	}
	return context.Cause(ctx)
}
