package offsets_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// TestSameCluster has another cluster answer where a client was used: no group of it is read.
func TestSameCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		other := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		shared := testkafka.Share(one, other)
		opts, err := offsets.SameCluster(shared.Opts(), "")
		if err != nil {
			t.Fatal(err)
		}
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if g, err := offsets.Capture(t.Context(), cl, offsets.CaptureConfig{}); err != nil || g.ClusterID != one.ID() {
			t.Fatal(g, err)
		}
		shared.Turn(true)
		shared.Cut(false)
		var wrong *offsets.WrongClusterError
		if g, err := offsets.Capture(t.Context(), cl, offsets.CaptureConfig{}); !errors.As(err, &wrong) || wrong.Want != one.ID() || wrong.Got != other.ID() {
			t.Errorf("captured %v: %v", g, err)
		}
	})
}
