package copylock

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestUnsupported: where the target can't raise an epoch, or not show one, topics count as held,
// and that is said.
func TestUnsupported(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.DescribeTransactions} {
		v := kversion.Stable()
		v.SetMaxKeyVersion(int16(key), -1)
		p := start(t, testkafka.Fake(t, testkafka.Options{Fake: []kfake.Opt{kfake.MaxVersions(v)}}), Config{})
		_, err := p.Claim(t.Context(), kadm.TopicID{1}, kadm.TopicID{2})
		var denied *DeniedError
		if !errors.As(err, &denied) || len(denied.Topics) != 2 {
			t.Errorf("without %s: %v", key.Name(), err)
			continue
		}
		p.held(kadm.TopicID{1}, nil)
		p.held(kadm.TopicID{2}, nil)
	}
}
