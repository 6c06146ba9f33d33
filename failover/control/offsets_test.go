package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/offsets/mm2"
)

// commit commits a group's offset of orders/0 as an admin.
func commit(t *testing.T, cl testkafka.Cluster, group string, at int64) {
	t.Helper()
	os := kadm.Offsets{}
	os.Add(kadm.Offset{Topic: "orders", At: at, LeaderEpoch: -1})
	if err := kadm.NewClient(testkafka.Client(t, cl)).CommitAllOffsets(t.Context(), group, os); err != nil {
		t.Fatal(err)
	}
}

// committed is what groups have for orders/0, -1 where nothing.
func committed(t *testing.T, cl testkafka.Cluster, groups ...string) map[string]int64 {
	t.Helper()
	at := map[string]int64{}
	for _, g := range groups {
		at[g] = -1
		os, err := kadm.NewClient(testkafka.Client(t, cl)).FetchOffsets(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := os.Lookup("orders", 0); ok {
			at[g] = o.At
		}
	}
	return at
}

func request(clusters []failover.Cluster, end int64) CarryRequest {
	return CarryRequest{
		Scope: "default", From: clusters[0], To: clusters[1], Topics: []string{"orders"},
		Ends: []register.Fork{{Topic: "orders", Offset: end}, {Topic: "orders", Partition: 1}},
	}
}

func capture(of testkafka.Cluster, t *testing.T) func(context.Context, CarryRequest) (*offsets.Groups, error) {
	cl := testkafka.Client(t, of)
	return func(ctx context.Context, _ CarryRequest) (*offsets.Groups, error) {
		return offsets.Capture(ctx, cl, offsets.CaptureConfig{})
	}
}

func TestExactOffsets(t *testing.T) {
	_, b, clusters := pair(t, 3)
	commit(t, b, "within", 2)
	commit(t, b, "beyond", 7)
	commit(t, b, "other", 9)
	e := ExactOffsets{GroupChoice: GroupChoice{Exclude: []string{"other"}}}
	res, err := e.Carry(t.Context(), request(clusters, 3))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"within": 2, "beyond": 3, "other": 9}, committed(t, b, "within", "beyond", "other")); diff != "" {
		t.Error(diff)
	}
	if res.Groups != 2 || res.Offsets != 2 || res.Committed != 1 || res.Held != 0 || !strings.Contains(strings.Join(res.Detail, "\n"), "past the end, 3") {
		t.Errorf("%+v", res)
	}
	if res, err = e.Carry(t.Context(), request(clusters, 3)); err != nil || res.Committed != 0 || len(res.Detail) != 0 {
		t.Errorf("again: %+v %v", res, err)
	}
	topics := request(clusters, 3)
	topics.Topics = []string{"payments"}
	if res, err = (ExactOffsets{}).Carry(t.Context(), topics); err != nil || res.Groups != 0 {
		t.Errorf("another scope's: %+v %v", res, err)
	}
}

func TestExactOffsetsCaptured(t *testing.T) {
	a, b, clusters := pair(t, 3)
	commit(t, a, "new", 2)
	commit(t, a, "back", 1)
	commit(t, b, "back", 2)
	commit(t, a, "beyond", 5)
	res, err := ExactOffsets{Captured: capture(a, t)}.Carry(t.Context(), request(clusters, 3))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"new": 2, "back": 2, "beyond": 3}, committed(t, b, "new", "back", "beyond")); diff != "" {
		t.Error(diff)
	}
	if res.Groups != 3 || res.Committed != 2 || res.Held != 1 || !strings.Contains(res.Detail[0], "rewind") {
		t.Errorf("%+v", res)
	}
}

// shifted translates by adding.
type shifted int64

func (s shifted) Translate(_ context.Context, topic string, partition int32, upstream int64) (offsets.Translated, error) {
	if topic != "orders" {
		return offsets.Translated{Topic: topic, Partition: partition, Offset: -1, How: offsets.HowUnknown}, nil
	}
	return offsets.Translated{Topic: topic, Partition: partition, Offset: upstream + int64(s), How: offsets.HowExact}, nil
}

func TestTranslatedOffsets(t *testing.T) {
	a, b, clusters := pair(t, 3)
	commit(t, a, "g", 1)
	if _, err := (TranslatedOffsets{}).Carry(t.Context(), request(clusters, 3)); err == nil {
		t.Error("no translator, no error")
	}
	res, err := TranslatedOffsets{Translator: shifted(1), Captured: capture(a, t)}.Carry(t.Context(), request(clusters, 3))
	if err != nil {
		t.Fatal(err)
	}
	if at := committed(t, b, "g")["g"]; at != 2 || res.Groups != 1 || res.Offsets != 1 || res.Committed != 1 {
		t.Error(at, res)
	}
}

// TestMM2Offsets reads what MirrorMaker leaves behind.
func TestMM2Offsets(t *testing.T) {
	_, b, clusters := pair(t, 0)
	cl := testkafka.Client(t, b)
	if _, err := kadm.NewClient(cl).CreateTopics(t.Context(), 1, 1, nil, "A.orders", "A.checkpoints.internal"); err != nil {
		t.Fatal(err)
	}
	for i := range 10 { // different ones: what is there twice might have been copied twice
		cl.Produce(t.Context(), &kgo.Record{Topic: "A.orders", Value: fmt.Append(nil, i)}, nil)
	}
	for group, at := range map[string]int64{"behind": 6, "end": 10} {
		key, value, err := mm2.Checkpoint{Group: group, Topic: "A.orders", Upstream: at, Downstream: at}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		cl.Produce(t.Context(), &kgo.Record{Topic: "A.checkpoints.internal", Key: key, Value: value}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := request(clusters, 10)
	r.Topics = []string{"A.orders"}
	res, err := MM2Offsets{Config: mm2.Config{SourceAlias: "A"}}.Carry(t.Context(), r)
	if err != nil || res.Groups != 2 || res.Committed != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	os, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "behind")
	if o, _ := os.Lookup("A.orders", 0); err != nil || o.At != 6 {
		t.Error(o, err)
	}
	if _, err := (MM2Offsets{Config: mm2.Config{SourceAlias: "B"}}).Carry(t.Context(), r); err == nil {
		t.Error("nothing is there of B, and no error")
	}
}
