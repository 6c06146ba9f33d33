package offsets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// noting is a cluster with a topic "copy" of 20 records, and its ledger.
type noting struct {
	testkafka.Cluster
	t  *testing.T
	l  *ledger.Ledger
	cl *kgo.Client
	id kadm.TopicID
}

const sourceID = "AAAAAAAAAAAAAAAAAAAAAQ=="

func newNoting(t *testing.T) *noting {
	t.Helper()
	n := &noting{Cluster: testkafka.Fake(t, testkafka.Options{}), t: t}
	n.cl = testkafka.Client(t, n, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	n.create("copy")
	c, err := rawkafka.Connect(t.Context(), n.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if n.l, err = ledger.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return n
}

// create makes a topic of 20 records.
func (n *noting) create(topic string) {
	n.t.Helper()
	r, err := kadm.NewClient(n.cl).CreateTopic(n.t.Context(), 1, 1, nil, topic)
	if err != nil {
		n.t.Fatal(err)
	}
	n.id = r.ID
	cl := testkafka.Client(n.t, n) // one that has never heard of a topic of that name
	for i := range 20 {
		if err := cl.ProduceSync(n.t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *noting) put(entries map[string]any) {
	n.t.Helper()
	if err := n.l.Put(n.t.Context(), entries); err != nil {
		n.t.Fatal(err)
	}
}

// restored notes a restore of orders/0 [100,110) to copy [from, from+10).
func (n *noting) restored(job string, from int64, at time.Time) {
	n.t.Helper()
	m, err := offsets.New(offsets.ID{SourceCluster: "A", Topic: "orders", SourceTopicID: kadm.TopicID{15: 1}, TargetTopic: "copy", TargetTopicID: n.id}, 100, from)
	if err == nil {
		err = m.Append(100, from, 10)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		n.t.Fatal(err)
	}
	entries := ledger.Chunks(ledger.MapKey("A", "copy", 0, job), raw)
	entries[ledger.RestoreKey(job, "copy", 0)] = n.note(job, from, &at)
	n.put(entries)
}

func (n *noting) note(job string, first int64, done *time.Time) ledger.Restore {
	return ledger.Restore{
		Job: job, SourceCluster: "A", SourceAlias: "old", SourceTopic: "orders", SourceTopicID: sourceID,
		TargetTopic: "copy", TargetTopicID: n.id.String(), Snapshot: "s-" + job, First: first, DoneAt: done,
	}
}

// mirrored notes an exact copy of payments/0.
func (n *noting) mirrored(topicID string) {
	n.put(map[string]any{"copy/A/copy/0": map[string]any{
		"flow": "east", "topic": "payments", "source_id": sourceID, "target_id": topicID, "position": 20, "at": time.Unix(5, 0).UTC(),
	}})
}

func (n *noting) translate(source, topic string, at int64) offsets.Translated {
	n.t.Helper()
	s, err := offsets.Open(n.t.Context(), n.cl, source)
	if err != nil {
		n.t.Fatal(err)
	}
	got, err := s.Translate(n.t.Context(), topic, 0, at)
	if err != nil {
		n.t.Fatal(err)
	}
	if got.Evidence == "" {
		n.t.Errorf("%s/0 at %d: no evidence", topic, at)
	}
	return got
}

func (n *noting) want(source, topic string, at, want int64, how offsets.How, evidence string) {
	n.t.Helper()
	got := n.translate(source, topic, at)
	if got.Offset != want || got.How != how || !strings.Contains(got.Evidence, evidence) || how != offsets.HowUnknown && got.Topic != "copy" {
		n.t.Errorf("%s/0 at %d of %s: %+v, want %d %s %q", topic, at, source, got, want, how, evidence)
	}
}

func TestStoredRestores(t *testing.T) {
	n := newNoting(t)
	n.want("A", "orders", 105, -1, offsets.HowUnknown, "none")
	n.put(map[string]any{ledger.RestoreKey("j0", "copy", 0): n.note("j0", 1, nil)})
	n.want("A", "orders", 105, -1, offsets.HowUnknown, "isn't complete")
	n.restored("j1", 3, time.Unix(10, 0))
	for _, source := range []string{"A", "old"} {
		n.want(source, "orders", 105, 8, offsets.HowExact, "s-j1")
		n.want(source, "orders", 110, 13, offsets.HowExact, "the newest of 2")
		n.want(source, "orders", 99, 3, offsets.HowBeforeStart, "")
		n.want(source, "orders", 111, 13, offsets.HowPastEnd, "")
	}
	n.restored("j2", 9, time.Unix(20, 0))
	n.want("A", "orders", 105, 14, offsets.HowExact, "s-j2")
	n.want("B", "orders", 105, -1, offsets.HowUnknown, "A, old")
	n.want("A", "other", 105, -1, offsets.HowUnknown, "other/0")
	if _, err := kadm.NewClient(n.cl).DeleteRecords(t.Context(), kadm.Offsets{"copy": {0: {Topic: "copy", At: 16}}}); err != nil {
		t.Fatal(err)
	}
	n.want("A", "orders", 105, 16, offsets.HowNext, "gone")
	n.want("A", "orders", 109, 18, offsets.HowExact, "s-j2")
}

func TestStoredMirrors(t *testing.T) {
	n := newNoting(t)
	n.mirrored(n.id.String())
	for _, source := range []string{"A", "east"} {
		n.want(source, "payments", 7, 7, offsets.HowExact, "mirror east")
		n.want(source, "payments", 20, 20, offsets.HowExact, sourceID)
		n.want(source, "payments", 21, 20, offsets.HowPastEnd, "")
	}
	if _, err := kadm.NewClient(n.cl).DeleteRecords(t.Context(), kadm.Offsets{"copy": {0: {Topic: "copy", At: 4}}}); err != nil {
		t.Fatal(err)
	}
	n.want("A", "payments", 2, 4, offsets.HowBeforeStart, "")
	n.mirrored("AAAAAAAAAAAAAAAAAAAAAA==")
	n.want("A", "payments", 7, -1, offsets.HowUnknown, "made anew")
	n.mirrored("nonsense")
	n.want("A", "payments", 7, -1, offsets.HowUnknown, "no topic ID")
}

// A copy whose topic is gone or was made anew answers nothing, nor do notes that can't be read; a
// damaged map is an error.
func TestStoredFaults(t *testing.T) {
	n := newNoting(t)
	n.restored("j1", 3, time.Unix(10, 0))
	n.put(map[string]any{"copy/odd": map[string]any{"topic": "orders"}, "restore/odd": map[string]any{"source_cluster": "A"}})
	n.want("A", "orders", 105, 8, offsets.HowExact, "s-j1")
	for key := range n.l.Each("map/") {
		n.put(map[string]any{key: map[string]any{"chunks": 2, "data": []byte("half")}})
	}
	s, err := offsets.Open(t.Context(), n.cl, "A")
	if err != nil {
		t.Fatal(err)
	}
	var entry *ledger.EntryError
	if _, err := s.Translate(t.Context(), "orders", 0, 105); !errors.As(err, &entry) {
		t.Errorf("half a map: %v", err)
	}
	adm := kadm.NewClient(n.cl)
	if _, err := adm.DeleteTopic(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	n.want("A", "orders", 105, -1, offsets.HowUnknown, "UNKNOWN_TOPIC")
	n.create("copy")
	n.want("A", "orders", 105, -1, offsets.HowUnknown, "made anew")
}

// A client that logs in, and one that is a member of a group, do as well as any; the group isn't
// joined twice.
func TestOpenReachesAsTheClient(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{Secure: true})
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	member := testkafka.Client(t, cl, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"))
	adm := kadm.NewClient(testkafka.Client(t, cl))
	members := func() int {
		g, err := adm.DescribeGroups(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		return len(g["g"].Members)
	}
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if members() != 1 {
			return errors.New("not joined yet")
		}
		return nil
	})
	var joins atomic.Int64
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		joins.Add(1)
		return nil, nil, false
	})
	if _, err := offsets.Open(t.Context(), member, "A"); err != nil {
		t.Fatal(err)
	}
	if n := members(); n != 1 || joins.Load() > 0 {
		t.Errorf("%d members, %d joins", n, joins.Load())
	}
}

// TestStoredStopped: what a mirror has stopped is no exact copy any more, also where a restore had
// put it there; what it mirrors again is one.
func TestStoredStopped(t *testing.T) {
	n := newNoting(t)
	mirrored := func(stopped string) {
		n.put(map[string]any{"copy/A/copy/0": map[string]any{
			"flow": "east", "topic": "orders", "source_id": sourceID, "target_id": n.id.String(), "position": 20, "at": time.Unix(5, 0).UTC(), "stopped": stopped,
		}})
	}
	mirrored("")
	n.want("east", "orders", 7, 7, offsets.HowExact, "mirror east")
	n.exactly(12, time.Unix(4, 0))
	n.want("A", "orders", 7, 7, offsets.HowExact, "mirror east")
	mirrored("truncated")
	n.want("east", "orders", 7, -1, offsets.HowUnknown, "stopped it (truncated)")
	n.want("A", "orders", 7, -1, offsets.HowUnknown, "stopped it (truncated)")
	n.want("old", "orders", 7, -1, offsets.HowUnknown, "stopped it (truncated)")
	mirrored("")
	n.want("A", "orders", 20, 20, offsets.HowExact, "mirror east")
}

// exactly notes an exact restore of orders/0 up to end.
func (n *noting) exactly(end int64, at time.Time) {
	n.put(map[string]any{ledger.ExactKey("A", "orders", "copy"): ledger.ExactRestore{
		SourceCluster: "A", SourceAlias: "old", SourceTopic: "orders", SourceTopicID: sourceID, TargetTopic: "copy", TargetTopicID: n.id.String(),
		Snapshot: "s", Ends: map[int32]int64{0: end}, DoneAt: at,
	}})
}

// TestStoredExactRestore: offsets are the same up to where the restore ended; what others wrote
// behind isn't the source's.
func TestStoredExactRestore(t *testing.T) {
	n := newNoting(t)
	n.exactly(12, time.Unix(4, 0))
	for _, source := range []string{"A", "old"} {
		n.want(source, "orders", 0, 0, offsets.HowExact, "exact restore of snapshot s")
		n.want(source, "orders", 12, 12, offsets.HowExact, "")
		n.want(source, "orders", 13, 12, offsets.HowPastEnd, "")
	}
	n.want("B", "orders", 0, -1, offsets.HowUnknown, "noted are copies from: A, old")
	n.exactly(0, time.Unix(6, 0))
	n.want("A", "orders", 5, 0, offsets.HowPastEnd, "")
	deleteTopics(t, n.cl, "copy")
	n.create("copy")
	n.want("A", "orders", 0, -1, offsets.HowUnknown, "made anew")
}

func deleteTopics(t *testing.T, cl *kgo.Client, topics ...string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).DeleteTopics(t.Context(), topics...); err != nil {
		t.Fatal(err)
	}
}
