package restore

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestLogStartComesBack: a log start that brokers have forgotten since they moved it, as those do
// that are killed, is moved again before the end.
func TestLogStartComesBack(t *testing.T) {
	topics := []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 0, 5, 2), plain(t, 9, 5, 2), plain(t, 70, 5, 2)}}}
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
	forgotten := map[int32]bool{}
	testkafka.ForgetDeletes(cl, func(req *kmsg.DeleteRecordsRequest) bool {
		p := req.Topics[0].Partitions[0].Partition
		first := !forgotten[p]
		forgotten[p] = true
		return first
	})
	restored(t, cfg)
	if len(forgotten) != 2 {
		t.Errorf("log starts of %v were moved", forgotten)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}
