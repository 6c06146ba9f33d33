package failover

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testpass"
)

// TestClientSchedules kills, freezes or silences the primary under load, at random instants, with a
// copy that is behind or has ended: with Replay nothing is lost, doubled or reordered.
func TestClientSchedules(t *testing.T) {
	var sum tally
	for _, seed := range simRuns(t, 50, 1000) {
		inBubble(t, seed, func(s *sim) {
			c := s.client(func(cfg *Config) {
				cfg.Replay = &Replay{Every: 50*time.Millisecond + s.upTo(2*time.Second)}
				cfg.Hooks.OnSwitch = sum.add
			})
			records := 40 + s.IntN(100)
			cp := startCopy(s.T, s.a, s.b, s.IntN(records+1), s.pace())
			l := newLoad(c, 4)
			s.load(s.Context(), l, records)
			pause(s.Context(), s.upTo(5*time.Second))
			s.faults(cp)
			pause(s.Context(), s.upTo(5*time.Second))
			s.forced(c, cp)
			s.ends(c, l, "b")
		})
	}
	if r := sum.sum; !testing.Short() && !testpass.First() && (r.Found == 0 || r.Resent == 0 || r.Replayed == 0 || r.Covered == 0) {
		t.Errorf("these schedules have missed something: %s", r)
	}
}

// TestClientPlannedSchedules moves an application to and fro under load.
func TestClientPlannedSchedules(t *testing.T) {
	for _, seed := range simRuns(t, 20, 500) {
		inBubble(t, seed, func(s *sim) {
			c := s.client(func(cfg *Config) {
				if s.IntN(2) == 0 {
					cfg.Replay = &Replay{Every: 50*time.Millisecond + s.upTo(2*time.Second)}
				}
			})
			l := newLoad(c, 4)
			s.load(s.Context(), l, 40+s.IntN(200))
			from, to := "a", "b"
			for range 1 + s.IntN(3) {
				cp := startCopy(s.T, s.cluster(from), s.cluster(to), math.MaxInt, s.pace())
				pause(s.Context(), s.upTo(5*time.Second))
				s.planned(c, cp, from, to)
				from, to = to, from
			}
			s.ends(c, l, from)
			if len(c.box.lanes) > 0 && c.cfg.Replay == nil {
				s.Error("kept without Replay")
			}
		})
	}
}

// TestClientGivesUpSchedules closes an epoch and opens the next one on the same cluster, which the
// client doesn't hear for a while: what is in doubt is found there.
func TestClientGivesUpSchedules(t *testing.T) {
	var sum tally
	for _, seed := range simRuns(t, 20, 500) {
		inBubble(t, seed, func(s *sim) {
			c := s.client(func(cfg *Config) { cfg.Hooks.OnSwitch = sum.add })
			l := newLoad(c, 4)
			s.load(s.Context(), l, 40+s.IntN(100))
			pause(s.Context(), s.upTo(3*time.Second))
			s.deaf.Store(true)
			pause(s.Context(), s.upTo(3*time.Second))
			s.closes("a", "b", false)
			pause(s.Context(), c.cfg.Lease+c.cfg.Lease/100)
			s.deaf.Store(false)
			s.opens("a", "a", "b", false)
			s.arrives(c, "a", 3)
			s.ends(c, l, "a")
		})
	}
	if r := sum.sum; r.Found == 0 || r.Replayed > 0 {
		t.Errorf("these schedules have missed something: %s", r)
	}
}

// tally adds reports up.
type tally struct {
	mu  sync.Mutex
	sum ClientReport
}

func (s *tally) add(r ClientReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.InDoubt += r.InDoubt
	s.sum.Found += r.Found
	s.sum.Resent += r.Resent
	s.sum.Covered += r.Covered
	s.sum.Replayed += r.Replayed
}

// pace is how fast a copy is.
func (s *sim) pace() func() time.Duration {
	d := s.upTo(300 * time.Millisecond)
	return func() time.Duration { return d }
}

// ends waits for all promises, closes the client, and compares with what a cluster has.
func (s *sim) ends(c *Client, l *load, cluster string) {
	s.Helper()
	l.wg.Wait()
	if len(l.errs) > 0 {
		s.Error(l.errs)
	}
	if err := c.Flush(s.Context()); err != nil {
		s.Error(err)
	}
	c.Close()
	l.check(s.T, s.cluster(cluster))
}

// load has several goroutines produce, with pauses.
func (s *sim) load(ctx context.Context, l *load, records int) {
	for key := range l.keys {
		var pauses []time.Duration
		for range records / l.keys {
			pauses = append(pauses, s.upTo(200*time.Millisecond))
		}
		l.wg.Go(func() {
			for _, d := range pauses {
				l.produce(ctx, key)
				pause(ctx, d)
			}
		})
	}
}

// faults makes the primary fail.
func (s *sim) faults(cp *copier) {
	switch s.IntN(4) {
	case 0:
		s.a.Kill(s, 0)
	case 1:
		s.a.Pause(s, 0)
	case 2:
		s.deaf.Store(true)
	case 3: // only the copy ends
		cp.end()
	}
}

// forced switches from a to b, and waits the lease out.
func (s *sim) forced(c *Client, cp *copier) {
	s.Helper()
	s.closes("a", "b", false)
	pause(s.Context(), c.cfg.Lease+c.cfg.Lease/100)
	cp.end()
	s.opens("b", "a", "b", false)
	s.arrives(c, "b", 3)
}

// planned switches when the copy has all.
func (s *sim) planned(c *Client, cp *copier, from, to string) {
	s.Helper()
	s.closes(from, to, true)
	pause(s.Context(), c.cfg.Lease+c.cfg.Lease/100)
	for begun := time.Now(); !slices.Equal(ends(s.T, s.cluster(from)), ends(s.T, s.cluster(to))); pause(s.Context(), 10*time.Millisecond) {
		if time.Since(begun) > time.Minute {
			s.Fatalf("%s has %v, %s %v", from, ends(s.T, s.cluster(from)), to, ends(s.T, s.cluster(to)))
		}
	}
	cp.end()
	s.opens(to, from, to, true)
	s.arrives(c, to, 0)
}

// arrives waits until the client is on a cluster, in an epoch or a later one.
func (s *sim) arrives(c *Client, cluster string, epoch int64) {
	s.Helper()
	begun := time.Now()
	for {
		if st := c.Status(); st.Cluster == cluster && st.Epoch >= epoch {
			return
		}
		if pause(s.Context(), 20*time.Millisecond); time.Since(begun) > time.Minute {
			s.Fatalf("not on %s: %+v", cluster, c.Status())
		}
	}
}
