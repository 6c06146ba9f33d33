package rawkafka_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// Whichever broker stands still, what any could answer is answered by another within moments, again
// and again; where all stand still, it ends with the request's deadline.
func TestAnyone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
		c, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{RequestTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Topics(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, still := range kafka.Brokers() {
			kafka.Pause(t, still)
			for range 8 {
				began := time.Now()
				if _, err := c.Topics(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("broker %d stands still: %s", still, took)
				}
			}
			kafka.Resume(t, still)
		}
		for _, b := range kafka.Brokers() {
			kafka.Pause(t, b)
			defer kafka.Resume(t, b)
		}
		began := time.Now()
		if _, err := rawkafka.Anyone(t.Context(), c, rawkafka.MetadataOf()); err == nil || time.Since(began) > 6*time.Second {
			t.Errorf("all stand still: %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := rawkafka.Anyone(ctx, c, rawkafka.MetadataOf()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context ends: %v", err)
		}
	})
}
