package failover

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClientExpiresInSearch ends the context of a record that is being looked for: its memory is the caller's again, and it is never written.
func TestClientExpiresInSearch(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		if err := c.ProduceSync(s.Context(), one("first")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.deaf.Store(true)
		value, done := []byte("late"), make(chan error, 1)
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		c.Produce(ctx, &kgo.Record{Topic: simTopic, Value: value}, func(_ *kgo.Record, err error) {
			copy(value, "gone")
			done <- err
		})
		s.closes("a", "b", false)
		pause(s.Context(), 11*time.Second)
		s.opens("b", "a", "b", false)
		k := testkafka.Kfake(s.b)
		k.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			cancel()
			k.SleepControl(func() { pause(s.Context(), time.Second) })
			return nil, nil, false
		})
		s.arrives(c, "b", 3)
		is(s.T, <-done, context.Canceled)
		pause(s.Context(), time.Minute)
		if n := c.BufferedProduceRecords(); n != 0 {
			s.Errorf("%d records are left", n)
		}
		for _, rs := range simRead(s.T, s.b) {
			for _, r := range rs {
				s.Errorf("%q was written", r.Value)
			}
		}
	})
}
