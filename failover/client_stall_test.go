package failover

import (
	"context"
	"testing"
	"time"
)

// TestClientSilentContext ends a record's context before it is noticed that the cluster is silent.
func TestClientSilentContext(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		if err := c.ProduceSync(s.Context(), one("first")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.a.Pause(s.T, 0)
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		is(s.T, c.ProduceSync(ctx, one("late")).FirstErr(), context.DeadlineExceeded)
		if took := time.Since(begun); took > 3*quietFor {
			s.Errorf("after %v", took)
		}
	})
}
