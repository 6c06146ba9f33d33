package restore

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// TestRealCompactedKeyless: a compacted topic may hold records without a key from before it was
// compacted, and start above 0. A broker refuses both those records and filler in such a topic: it
// isn't compacted before they are there, whether the restore makes it or finds it, empty, as the
// topic is in the end.
func TestRealCompactedKeyless(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{})
	h := opstest.History{Start: 7, End: 7}
	for range 3 {
		rs := []*kgo.Record{{Value: []byte("no key"), Timestamp: time.UnixMilli(1e12)}, {Key: []byte("k"), Value: []byte("v"), Timestamp: time.UnixMilli(1e12)}}
		for i, r := range rs {
			r.Offset = h.End + int64(i)
		}
		raw, err := batch.Append(nil, h.End, kgo.NoCompression(), rs...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
		h.End += 2
	}
	compact := map[string]string{"cleanup.policy": "compact"}
	topics := []fakeTopic{
		{name: "made", partitions: []opstest.History{h}, configs: compact},
		{name: "found", partitions: []opstest.History{h}, configs: compact},
	}
	if _, err := admin(t, cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": ptr("compact")}, "found"); err != nil {
		t.Fatal(err)
	}
	restored(t, Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, topics...)})
	checkTopics(t, cl, copyops.Filter{}, topics...)
}
