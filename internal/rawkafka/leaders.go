package rawkafka

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/clock"
)

// led is a partition with its leader's epoch, as it is asked for.
type led struct {
	Partition
	epoch int32
}

// Backoff is how long to wait before the n-th try again, n from 1: 50 ms
// doubled each time up to 2 s, of which a random half to whole is taken.
func Backoff(n int) time.Duration {
	return backoff(50*time.Millisecond, n)
}

// Eager is Backoff from 10 ms on: for a partition that was just made, or has moved, which is often
// there within milliseconds.
func Eager(n int) time.Duration {
	return backoff(10*time.Millisecond, n)
}

func backoff(first time.Duration, n int) time.Duration {
	d := min(first<<min(max(n-1, 0), 10), 2*time.Second)
	return d/2 + rand.N(d/2)
}

// Sleep waits for d or the context's end, which is its error.
func Sleep(ctx context.Context, d time.Duration) error { return clock.Sleep(ctx, d) }

// Led is the broker that leads the partition, as far as that is known without asking.
func (c *Cluster) Led(p Partition) (broker int32, ok bool) {
	l, ok := c.cached(p)
	return l.broker, ok
}

// eachLeader asks every leader about its partitions, all leaders at once, and
// again what failed for a reason that may pass, for Config.RetryFor.
func eachLeader[A any](ctx context.Context, c *Cluster, op string, ps []Partition,
	ask func(context.Context, int32, []led) (map[Partition]A, error), errOf func(A) error, failed func(error) A,
) (map[Partition]A, error) {
	answers := make(map[Partition]A, len(ps))
	deadline := time.Now().Add(c.cfg.RetryFor)
	unknown := make(map[Partition]bool)
	for try := 1; len(ps) > 0; try++ {
		var last error
		var again []Partition
		for p, a := range round(ctx, c, ps, ask, failed) {
			err := errOf(a)
			answers[p] = a
			if err == nil {
				continue
			}
			c.Forget(p)
			// A broker may not have heard of a partition that it leads
			// now; the metadata, asked again, decide.
			if Retriable(err) || Unknown(err) && !unknown[p] {
				unknown[p] = Unknown(err)
				again, last = append(again, p), err
			}
		}
		ps = again
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if len(ps) == 0 || time.Now().After(deadline) {
			break
		}
		c.retrying(op, last)
		if err := Sleep(ctx, Eager(try)); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func round[A any](ctx context.Context, c *Cluster, ps []Partition,
	ask func(context.Context, int32, []led) (map[Partition]A, error), failed func(error) A,
) map[Partition]A {
	answers := make(map[Partition]A, len(ps))
	brokers := make(map[int32][]led)
	for p, l := range c.lead(ctx, ps) {
		if l.err != nil {
			answers[p] = failed(l.err)
			continue
		}
		brokers[l.broker] = append(brokers[l.broker], led{p, l.epoch})
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for broker, ps := range brokers {
		wg.Go(func() {
			got, err := ask(ctx, broker, ps)
			if err == nil {
				err = errOmitted
			}
			mu.Lock()
			defer mu.Unlock()
			for _, p := range ps {
				if a, ok := got[p.Partition]; ok {
					answers[p.Partition] = a
				} else {
					answers[p.Partition] = failed(err)
				}
			}
		})
	}
	wg.Wait()
	return answers
}
