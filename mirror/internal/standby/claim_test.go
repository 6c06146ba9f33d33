package standby

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/copylock"
)

// answers are locks that answer claims with one error after the other, a second each, and count
// them.
type answers struct {
	mu     sync.Mutex
	errs   []error
	claims int
	held   error
}

func (l *answers) Claim(ctx context.Context, topics ...kadm.TopicID) (shared bool, err error) {
	time.Sleep(time.Second) //nolint:forbidigo // simulated time
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims++
	if len(l.errs) > 0 {
		err, l.errs = l.errs[0], l.errs[1:]
	}
	return false, err
}

func (l *answers) Held(context.Context, kadm.TopicID) error { return l.held }

// TestClaim: a claim is taken once by all who ask for it at the same time, again after it was
// released, and is waited for in the open meanwhile.
func TestClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &answers{errs: []error{kerr.CoordinatorNotAvailable, nil}}
		c := NewClaim(l, kadm.TopicID{1}, func(err error) { t.Error("unguarded:", err) })
		began := time.Now()
		if _, err := c.Hold(t.Context()); !errors.Is(err, kerr.CoordinatorNotAvailable) || !c.Waits().Equal(began) {
			t.Error(err, c.Waits())
		}
		lives := make(chan int, 10)
		for range cap(lives) {
			go func() {
				life, err := c.Hold(t.Context())
				if err != nil {
					t.Error(err)
				}
				lives <- life
			}()
		}
		synctest.Wait()
		if !c.Waits().Equal(began) {
			t.Error("the second try is still under way, and waits since", c.Waits())
		}
		for range cap(lives) {
			if life := <-lives; life != 0 {
				t.Error("life", life)
			}
		}
		if l.claims != 2 || !c.Waits().IsZero() {
			t.Errorf("%d claims, waits since %s", l.claims, c.Waits())
		}
		c.Release()
		if life, err := c.Hold(t.Context()); life != 1 || err != nil || l.claims != 3 {
			t.Error(life, err, l.claims)
		}
	})
}

// TestClaimDenied: where the locks are denied, holes are made without, and that is said once; what
// doesn't pass by itself isn't waited for.
func TestClaimDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &answers{errs: []error{kerr.ClusterAuthorizationFailed, &copylock.DeniedError{Topics: []kadm.TopicID{{1}}, Err: kerr.TransactionalIDAuthorizationFailed}}}
		said := 0
		c := NewClaim(l, kadm.TopicID{1}, func(error) { said++ })
		if _, err := c.Hold(t.Context()); err == nil || !c.Waits().IsZero() || said != 0 {
			t.Error(err, c.Waits(), said)
		}
		for range 2 {
			if _, err := c.Hold(t.Context()); err != nil || said != 1 || l.claims != 2 {
				t.Error(err, said, l.claims)
			}
		}
	})
}

// TestClaimEnds: who waits for another's claim waits no longer than its context.
func TestClaimEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClaim(&answers{}, kadm.TopicID{1}, nil)
		first := make(chan error)
		go func() {
			_, err := c.Hold(t.Context())
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
