package failover

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClientRoomUnlingers has more wait for room than there is: kgo lingers for none of them.
func TestClientRoomUnlingers(t *testing.T) {
	bubble(t, func(s *sim) {
		const linger = 10 * time.Second
		c := s.client(nil, kgo.MaxBufferedRecords(10), kgo.ProducerLinger(linger))
		begun := time.Now()
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				if err := c.ProduceSync(s.Context(), one(fmt.Sprint(n))).FirstErr(); err != nil {
					s.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took > 2*linger {
			s.Errorf("took %v", took)
		}
	})
}

// TestClientRoom has several wait for little room, of records or of bytes: whoever waits is woken.
func TestClientRoom(t *testing.T) {
	const producers, records = 4, 500
	for _, opts := range [][]kgo.Opt{
		{kgo.MaxBufferedRecords(1)}, {kgo.MaxBufferedRecords(2)}, {kgo.MaxBufferedRecords(7)}, {kgo.MaxBufferedRecords(50)}, {kgo.MaxBufferedBytes(1)}, {kgo.MaxBufferedBytes(160)}, {kgo.MaxBufferedBytes(1000)},
	} {
		s := newStage(t, "t")
		c := s.client(nil, append(opts, kgo.ProducerLinger(0))...)
		var wg sync.WaitGroup
		for k := range producers {
			wg.Go(func() {
				for i := range records {
					r := record("t", k, i)
					r.Value = append(r.Value, make([]byte, k*50)...) // where bytes are bounded, some fit where others don't
					c.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
		wg.Wait()
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := c.BufferedProduceRecords(); n != 0 {
			t.Errorf("%d records are left", n)
		}
		if n := c.BufferedProduceBytes(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	}
}

// TestClientRoomForTheLarger: a record that fits doesn't take the wake-up of one that doesn't yet.
func TestClientRoomForTheLarger(t *testing.T) {
	const small, large = 5, 50
	for _, order := range [][]int64{{small, large}, {large, small}} {
		synctest.Test(t, func(t *testing.T) {
			s := &session{limits: limits{records: 100, bytes: 100}, acked: &marks{by: map[topicPartition]*int64{}}}
			c := &Client{cfg: Config{MaxWait: time.Hour}, cur: s, last: s, linger: func() {}}
			c.changed.L, c.room.L = &c.mu, &c.mu
			c.acks.easy.Store(s)
			var f *flight
			var given []*kgo.Record
			for _, size := range []int{20, 78} {
				r := one(strings.Repeat("x", size))
				f = c.board(t.Context(), s, r, func(*kgo.Record, error) {}, int64(size), false)
				given = append(given, r)
			}
			var admitted [large + 1]atomic.Bool
			for _, size := range order {
				go func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					if err := c.waitFor(t.Context(), size, kgo.ErrMaxBuffered); err != nil {
						t.Error(err)
					}
					admitted[size].Store(true)
				}()
				synctest.Wait()
			}
			for i, want := range []bool{false, true} {
				f.done(given[i], nil)
				synctest.Wait()
				if !admitted[small].Load() || admitted[large].Load() != want {
					t.Errorf("%v, after %d acks: %v, %v", order, i+1, admitted[small].Load(), admitted[large].Load())
				}
			}
		})
	}
}

// TestClientNoAcks produces without acks: kgo's offsets mean nothing then.
func TestClientNoAcks(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for n := range 3 {
			if err := c.ProduceSync(s.Context(), one(fmt.Sprint(n))).FirstErr(); err != nil {
				s.Fatal(err)
			}
		}
		if st := c.Status(); st.Unconfirmed != 0 {
			s.Error(st)
		}
		if n, ok := c.cur.acked.by[topicPartition{simTopic, 0}]; ok {
			s.Errorf("the last offset is %d", *n)
		}
	})
}
