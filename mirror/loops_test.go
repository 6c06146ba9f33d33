package mirror

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// Three clusters in a ring, each mirrored to the next: what came from a cluster doesn't come back
// to it, over the third neither.
func TestRing(t *testing.T) {
	ring := []testkafka.Cluster{testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})}
	create(t, ring[0], 1, nil, "t")
	produce(t, ring[0], "t", 1, 5)
	for range 2 {
		for i, name := range []string{"a.", "b.", "c."} {
			cfg := quickConfig(ring[i], ring[(i+1)%3])
			cfg.Prefix = name
			once(t, cfg)
		}
	}
	for i, want := range [][]string{{"t"}, {"a.t"}, {"b.a.t"}} {
		ts, err := kadm.NewClient(testkafka.Client(t, ring[i])).ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		delete(ts, "__kafkadr")
		if got := ts.Names(); !slices.Equal(got, want) {
			t.Errorf("cluster %d has %q, want %q", i, got, want)
		}
	}
}

// A topic that holds the same records, but that no copy of the source has written, may be
// somebody's own: it isn't appended to.
func TestSameButNotOurs(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	for _, cl := range []testkafka.Cluster{src, dst} {
		create(t, cl, 1, nil, "t")
		c := testkafka.Client(t, cl)
		for i := range 5 {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte{byte(i)}, Timestamp: time.UnixMilli(1_700_000_000_000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	m, err := New(quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := m.Run(t.Context()); !errors.As(err, &refused) || refused.Conflicts[0].Kind != string(ForeignWriter) {
		t.Fatal(err)
	}
}
