package standby

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Locks keep two processes from making the same hole at once.
type Locks interface {
	Claim(ctx context.Context, topics ...kadm.TopicID) (shared bool, err error)
	Held(ctx context.Context, topic kadm.TopicID) error
}

// Claim is a process's right to make the holes of a topic. It is taken with the first of them, from
// whoever has it.
type Claim struct {
	locks     Locks
	topic     kadm.TopicID
	unguarded func(error)

	mu    sync.Mutex
	life  int // how often it was released
	held  bool
	under chan struct{} // closed when the claim that is under way ends; nil: none is
	since time.Time     // of the first one that hasn't come to an end
}

// NewClaim is a claim that isn't held. unguarded is called where locks are denied: holes are made
// without then.
func NewClaim(locks Locks, topic kadm.TopicID, unguarded func(error)) *Claim {
	return &Claim{locks: locks, topic: topic, unguarded: unguarded}
}

// Hold takes the claim, unless it is held. Who asks meanwhile waits for the same answer. life tells
// the claim from the one that is taken after a Release.
func (c *Claim) Hold(ctx context.Context) (life int, err error) {
	for {
		c.mu.Lock()
		held, life, under := c.held, c.life, c.under
		if held {
			c.mu.Unlock()
			return life, nil
		}
		if under == nil {
			c.under = make(chan struct{})
			if c.since.IsZero() {
				c.since = time.Now()
			}
			c.mu.Unlock()
			return c.take(ctx)
		}
		c.mu.Unlock()
		select {
		case <-under:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (c *Claim) take(ctx context.Context) (life int, err error) {
	_, err = c.locks.Claim(ctx, c.topic)
	var denied *copylock.DeniedError
	if errors.As(err, &denied) {
		c.unguarded(err)
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.under)
	c.under, c.held = nil, err == nil
	if c.held || !rawkafka.Retriable(err) {
		c.since = time.Time{}
	}
	return c.life, err
}

// Release has the next hole claim the topic again. Who has it meanwhile keeps it until then.
func (c *Claim) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	c.life++
}

// Waits is since when a claim hasn't come to an end; zero: none does.
func (c *Claim) Waits() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since
}
