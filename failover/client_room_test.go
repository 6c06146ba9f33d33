package failover

import (
	"fmt"
	"sync"
	"testing"
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
		{kgo.MaxBufferedRecords(1)}, {kgo.MaxBufferedRecords(2)}, {kgo.MaxBufferedRecords(7)}, {kgo.MaxBufferedRecords(50)}, {kgo.MaxBufferedBytes(1)}, {kgo.MaxBufferedBytes(20)}, {kgo.MaxBufferedBytes(400)},
	} {
		s := newStage(t, "t")
		c := s.client(nil, append(opts, kgo.ProducerLinger(0))...)
		var wg sync.WaitGroup
		for k := range producers {
			wg.Go(func() {
				for i := range records {
					c.Produce(t.Context(), record("t", k, i), func(_ *kgo.Record, err error) {
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
