package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClientTransactionSchedules switches in the middle of transactions: each is visible as a whole
// or not at all, on one cluster at most, and committed ones are there.
func TestClientTransactionSchedules(t *testing.T) {
	for _, seed := range simRuns(t, 20, 500) {
		inBubble(t, seed, func(s *sim) {
			c := s.client(nil, kgo.TransactionalID("x"))
			ctx, cancel := context.WithCancel(s.Context())
			defer cancel()
			results := map[int]error{}
			done := make(chan struct{})
			var pauses []time.Duration
			for range 200 {
				pauses = append(pauses, s.upTo(300*time.Millisecond))
			}
			go func() {
				defer close(done)
				for n := 0; n < len(pauses) && ctx.Err() == nil; n++ {
					results[n] = transaction(ctx, c, n, pauses[n])
				}
			}()
			pause(s.Context(), s.upTo(5*time.Second))
			if s.IntN(2) == 0 {
				s.deaf.Store(true)
			}
			pause(s.Context(), s.upTo(5*time.Second))
			s.closes("a", "b", s.IntN(2) == 0)
			pause(s.Context(), c.cfg.Lease+c.cfg.Lease/100)
			s.opens("b", "a", "b", false)
			s.arrives(c, "b", 3)
			<-done
			c.Close()
			onA, onB := s.whole(s.a), s.whole(s.b)
			last := 0
			for n, err := range results {
				if err == nil {
					last = max(last, n)
					if !onA[n] && !onB[n] {
						s.Errorf("transaction %d was committed, and isn't there", n)
					}
				} else if !errors.Is(err, ErrEpochEnded) && !errors.Is(err, ErrSwitching) && !errors.Is(err, ErrFenced) {
					s.Errorf("transaction %d: %v", n, err)
				}
				if onA[n] && onB[n] {
					s.Errorf("transaction %d is on both", n)
				}
			}
			if !onB[last] {
				s.Errorf("the last transaction, %d of %d, isn't on b", last, len(results))
			}
		})
	}
}

func transaction(ctx context.Context, c *Client, n int, d time.Duration) error {
	if err := c.BeginTransaction(); err != nil {
		pause(ctx, time.Second)
		return err
	}
	var failed error
	for i := range 3 {
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: simTopic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			failed = err
		}
		pause(ctx, d/3)
	}
	return errors.Join(failed, c.EndTransaction(ctx, kgo.TransactionEndTry(failed == nil)))
}

// whole are a cluster's visible transactions; one that isn't there as a whole fails the test.
func (s *sim) whole(cl testkafka.Cluster) map[int]bool {
	s.Helper()
	c, err := kgo.NewClient(append(cl.Opts(), kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		s.Fatal(err)
	}
	defer c.Close()
	count, whole := map[int]int{}, map[int]bool{}
	for {
		ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute) // open transactions time out
		fs := c.PollFetches(ctx)
		cancel()
		if fs.NumRecords() == 0 {
			break
		}
		fs.EachRecord(func(r *kgo.Record) {
			var n int
			_, _ = fmt.Sscan(string(r.Value), &n)
			count[n]++
		})
	}
	for n, records := range count {
		if whole[n] = true; records != 3 {
			s.Errorf("%d records of transaction %d are visible", records, n)
		}
	}
	return whole
}

// TestClientPaths reaches a cluster over the second network, and checks that it is the right one.
func TestClientPaths(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		none := kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("no route")}
		})
		clusters := []Cluster{{Name: "a", Opts: []kgo.Opt{kgo.SeedBrokers("a:1"), none}, Paths: [][]kgo.Opt{s.opts("a")}}}
		c := s.client(func(cfg *Config) { cfg.Clusters = clusters })
		if err := c.ProduceSync(t.Context(), one("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		clusters[0].ID = "another"
		var wrong *WrongClusterError
		_, err := NewClient(t.Context(), Config{Clusters: clusters, Register: s.reg})
		if !errors.As(err, &wrong) || wrong.Want != "another" || wrong.Got != s.a.ID() {
			t.Error(err)
		}
		if _, err := NewClient(t.Context(), Config{Clusters: clusters, Register: &outage{Register: s.reg, out: true}}); err == nil || !strings.Contains(err.Error(), "outage") {
			t.Error(err)
		}
	})
}
