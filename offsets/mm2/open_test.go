package mm2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// left is a target, and what a MirrorMaker left on it.
type left struct {
	t   *testing.T
	c   testkafka.Cluster
	cl  *kgo.Client
	adm *kadm.Client
}

func newLeft(t *testing.T, topics ...string) *left {
	t.Helper()
	c := testkafka.Fake(t, testkafka.Options{})
	l := &left{t: t, c: c, cl: testkafka.Client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))}
	l.adm = kadm.NewClient(l.cl)
	for _, topic := range topics {
		l.create(topic, nil)
	}
	return l
}

func (l *left) create(topic string, configs map[string]*string) {
	l.t.Helper()
	testkafka.Create(l.t, l.c, 1, 1, configs, topic)
}

func (l *left) write(topic string, e encoder) {
	l.t.Helper()
	key, value, err := e.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	l.produce(&kgo.Record{Topic: topic, Key: key, Value: value})
}

func (l *left) produce(rs ...*kgo.Record) {
	l.t.Helper()
	if err := l.cl.ProduceSync(l.t.Context(), rs...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// copied writes copies of the source's records [from, to).
func (l *left) copied(topic string, from, to int) {
	l.t.Helper()
	var rs []*kgo.Record
	for i := from; i < to; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i), Timestamp: time.UnixMilli(int64(1e12 + i))})
	}
	l.produce(rs...)
}

func (l *left) checkpoint(group string, up, down int64) {
	l.t.Helper()
	l.write("A.checkpoints.internal", Checkpoint{Group: group, Topic: "A.orders", Upstream: up, Downstream: down, Metadata: "of " + group})
}

func (l *left) open(cfg Config) *Translator {
	l.t.Helper()
	cfg.SourceAlias = "A"
	tr, err := Open(l.t.Context(), l.cl, cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return tr
}

// wants checks one answer; the evidence has to say the words.
func (l *left) wants(cfg Config, up, offset int64, how offsets.How, words string) {
	l.t.Helper()
	got, err := l.open(cfg).Translate(l.t.Context(), "orders", 0, up)
	if err != nil || got.Offset != offset || got.How != how || !strings.Contains(got.Evidence, words) || got.Topic != "A.orders" {
		l.t.Errorf("%d is %+v, %v; want %d, %s, because of %q", up, got, err, offset, how, words)
	}
}

// oneToOne is a copy of 1000 records, a group that is behind, and one at the end.
func oneToOne(t *testing.T) *left {
	t.Helper()
	l := newLeft(t, "A.orders", "A.checkpoints.internal")
	l.copied("A.orders", 0, 1000)
	l.checkpoint("behind", 600, 1)
	l.checkpoint("end", 1000, 1000)
	return l
}

func TestGroups(t *testing.T) {
	l := oneToOne(t)
	got, err := l.open(Config{}).Groups(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []GroupOffset{
		{Group: "behind", SourceTopic: "orders", Upstream: 600, Checkpoint: 1, Metadata: "of behind", Translated: offsets.Translated{Topic: "A.orders", Offset: 600, How: offsets.HowExact}},
		{Group: "end", SourceTopic: "orders", Upstream: 1000, Checkpoint: 1000, Metadata: "of end", Translated: offsets.Translated{Topic: "A.orders", Offset: 1000, How: offsets.HowExact}},
	} {
		if got[i].Evidence == "" {
			t.Errorf("%s: no evidence", got[i].Group)
		}
		got[i].Evidence = ""
		if got[i] != want {
			t.Errorf("%+v, want %+v", got[i], want)
		}
	}
	if one, err := l.open(Config{}).Groups(t.Context(), "end", "none"); err != nil || len(one) != 1 || one[0].Group != "end" {
		t.Errorf("one group: %+v, %v", one, err)
	}
}

func TestNoProof(t *testing.T) {
	l := oneToOne(t)
	l.wants(Config{}, 600, 600, offsets.HowExact, "one to one: the source's 0 to 600 are the target's 0 to 600")
	l.wants(Config{}, 0, 0, offsets.HowExact, "the beginning")
	l.wants(Config{MaxScan: -1}, 600, 1, HowAtOrBefore, "weren't to be read")
	l.wants(Config{MaxScan: 100}, 600, 1, HowAtOrBefore, "more than may be read")
	l.wants(Config{}, -1, -1, offsets.HowUnknown, "negative")
	policy := "compact"
	if _, err := l.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &policy}}, "A.orders"); err != nil {
		t.Fatal(err)
	}
	l.wants(Config{}, 600, 1, HowAtOrBefore, "cleanup.policy is compact")
	k := testkafka.Kfake(l.c)
	k.ControlKey(int16(kmsg.DescribeConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		resp := kreq.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName, r.ErrorCode = kmsg.ConfigResourceTypeTopic, "A.orders", kerr.TopicAuthorizationFailed.Code
		resp.Resources = append(resp.Resources, r)
		return resp, nil, true
	})
	l.wants(Config{}, 600, 1, HowAtOrBefore, "cleanup.policy isn't known")
}

// A gap of 50 and 50 records that were copied twice leave the offsets as they were at both sides.
func TestGapAndDuplicatesCompensate(t *testing.T) {
	l := newLeft(t, "A.orders", "A.checkpoints.internal")
	l.copied("A.orders", 0, 300)
	l.copied("A.orders", 350, 500)
	l.copied("A.orders", 450, 900)
	l.checkpoint("behind", 600, 1)
	l.checkpoint("end", 900, 900)
	l.wants(Config{}, 600, 1, HowAtOrBefore, "are equal")
}

func TestUnfinished(t *testing.T) {
	l := newLeft(t, "A.orders", "A.checkpoints.internal")
	l.copied("A.orders", 0, 200)
	l.copied("A.orders", 50, 75) // and dead; 75 to 199 are only before it
	l.checkpoint("group", 75, 225)
	l.wants(Config{}, 75, 75, HowAtOrBefore, "copied again")
	l.wants(Config{MaxScan: -1}, 75, 225, HowAtOrBefore, "isn't known") // as the Java client, which believes it
}

func TestOffsetSyncs(t *testing.T) {
	l := newLeft(t, "A.orders", "mm2-offset-syncs.A.internal")
	l.copied("A.orders", 100, 200)
	l.copied("A.orders", 230, 300)
	for _, s := range [][2]int64{{100, 0}, {199, 99}, {230, 100}, {280, 150}} {
		l.write("mm2-offset-syncs.A.internal", OffsetSync{Topic: "orders", Upstream: s[0], Downstream: s[1]})
	}
	l.wants(Config{}, 50, 0, offsets.HowBeforeStart, "offset sync 100 -> 0")
	l.wants(Config{}, 100, 0, offsets.HowExact, "offset sync 100 -> 0")
	l.wants(Config{}, 150, 50, offsets.HowExact, "the source's 100 to 150 are the target's 0 to 50")
	l.wants(Config{}, 210, 100, offsets.HowNext, "between offset sync 199 -> 99 and offset sync 230 -> 100")
	l.wants(Config{}, 290, 151, HowAtOrBefore, "offset sync 280 -> 150 before it; nothing is known behind it")
	l.wants(Config{}, 300, 151, HowAtOrBefore, "nothing is known")
	if _, err := l.adm.DeleteRecords(t.Context(), kadm.Offsets{"A.orders": {0: {Topic: "A.orders", At: 120}}}); err != nil {
		t.Fatal(err)
	}
	l.wants(Config{}, 150, 120, offsets.HowBeforeStart, "the target's log starts at 120")
	l.wants(Config{}, 270, 120, HowAtOrBefore, "the target's log starts at 120")
}

func TestDrained(t *testing.T) {
	l := newLeft(t, "A.orders", "A.checkpoints.internal", "mm2-offsets.A.internal")
	l.copied("A.orders", 0, 1000)
	l.checkpoint("behind", 600, 1)
	for _, c := range []ConnectOffset{{"MirrorSourceConnector", "A", "orders", 0, 999}, {"other", "A", "orders", 0, 7}, {"MirrorSourceConnector", "C", "orders", 0, 7}} {
		l.write("mm2-offsets.A.internal", c)
	}
	l.wants(Config{}, 600, 1, HowAtOrBefore, "nothing is known behind it")
	drained := Config{Drained: true}
	l.wants(drained, 600, 600, offsets.HowExact, "one to one")
	l.wants(drained, 1000, 1000, offsets.HowExact, "end")
	l.wants(drained, 1500, 1000, offsets.HowPastEnd, "the last record mirrored is 999")
	if last, ok := l.open(Config{}).Mirrored("orders", 0); !ok || last != 999 {
		t.Errorf("mirrored %d, %v", last, ok)
	}
	l.create("mm2-offset-syncs.A.internal", nil)
	l.write("mm2-offset-syncs.A.internal", OffsetSync{Topic: "orders", Upstream: 1200, Downstream: 990})
	l.wants(drained, 600, 390, HowAtOrBefore, "not one to one")
}

// A transaction's marker takes an offset of the target: an exactly-once MirrorMaker's copy is one
// to one by records.
func TestMarkers(t *testing.T) {
	p := &partition{topic: "t", mirrored: 199, found: true, end: 220, stable: 220}
	p.finish(nil, true)
	marked := func(_ context.Context, _ string, _ int32, from, to, _ int64) (*scan, error) {
		s := newScanner(from, to)
		for o := from; o < to; o++ {
			if o%11 != 10 { // ten records, and the marker
				s.add(&kgo.Record{Offset: o, Value: fmt.Append(nil, o)})
			}
		}
		return s.done(), nil
	}
	for up := range int64(200) {
		got, err := p.translate(t.Context(), marked, 1, up)
		if want := up + up/10; err != nil || got.Offset != want || got.How != offsets.HowExact {
			t.Fatalf("%d is %+v, %v; want %d", up, got, err, want)
		}
	}
}

func TestAnotherLog(t *testing.T) {
	l := newLeft(t, "A.orders", "A.checkpoints.internal")
	l.copied("A.orders", 0, 100)
	l.checkpoint("group", 50, 50)
	l.checkpoint("other", 600, 600)
	l.wants(Config{}, 50, 0, HowAtOrBefore, "made anew or cut off")
	if _, err := l.adm.DeleteTopic(t.Context(), "A.orders"); err != nil {
		t.Fatal(err)
	}
	l.wants(Config{}, 50, -1, offsets.HowUnknown, "no such partition")
}

func TestJunk(t *testing.T) {
	const checkpoints = "A.checkpoints.internal"
	l := oneToOne(t)
	key, value, err := Checkpoint{Group: "gone", Topic: "A.orders", Upstream: 7, Downstream: 7}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	l.produce(&kgo.Record{Topic: checkpoints, Key: key, Value: value}, &kgo.Record{Topic: checkpoints, Key: key},
		&kgo.Record{Topic: checkpoints, Key: []byte("junk"), Value: []byte("junk")}, &kgo.Record{Topic: checkpoints},
		&kgo.Record{Topic: checkpoints, Key: key, Value: value[:9]})
	l.write(checkpoints, Checkpoint{Group: "negative", Topic: "A.orders", Upstream: 7, Downstream: -1})
	for _, topic := range []string{"mm2-offset-syncs.A.internal", "mm2-offsets.A.internal", "heartbeats"} {
		l.create(topic, nil)
		l.produce(&kgo.Record{Topic: topic, Key: []byte("["), Value: []byte("x")})
	}
	l.write("heartbeats", Heartbeat{"A", "B", 1234})
	l.write("heartbeats", Heartbeat{"X", "B", 9999})
	tr := l.open(Config{})
	gs, err := tr.Groups(t.Context())
	if err != nil || len(gs) != 2 || gs[0].Offset != 600 {
		t.Errorf("%+v, %v", gs, err)
	}
	if len(tr.Skipped()) != 7 {
		t.Errorf("skipped %v", tr.Skipped())
	}
	for _, s := range tr.Skipped() {
		var f *FormatError
		if !errors.As(s, &f) || s.Error() == "" {
			t.Errorf("skipped %v", s)
		}
	}
	if ms, ok := tr.LastHeartbeat(); !ok || ms != 1234 {
		t.Errorf("heartbeat %d, %v", ms, ok)
	}
}

func TestMissing(t *testing.T) {
	l := newLeft(t, "orders", "mm2-offsets.A.internal")
	var notFound *NotFoundError
	if _, err := Open(t.Context(), l.cl, Config{SourceAlias: "C"}); !errors.As(err, &notFound) || !strings.Contains(err.Error(), "C.checkpoints.internal") {
		t.Errorf("another alias: %v", err)
	}
	tr := l.open(Config{})
	if want := []string{"A.checkpoints.internal", "mm2-offset-syncs.A.internal", "heartbeats"}; !slices.Equal(tr.Missing(), want) {
		t.Errorf("missing %q, want %q", tr.Missing(), want)
	}
	got, err := tr.Translate(t.Context(), "orders", 0, 1)
	if err != nil || got.How != offsets.HowUnknown || got.Offset != -1 {
		t.Errorf("%+v, %v", got, err)
	}
	if gs, err := tr.Groups(t.Context()); err != nil || len(gs) != 0 {
		t.Errorf("%+v, %v", gs, err)
	}
	if _, ok := tr.Mirrored("orders", 0); ok {
		t.Error("mirrored")
	}
	if _, ok := tr.LastHeartbeat(); ok {
		t.Error("a heartbeat")
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := Open(t.Context(), nil, Config{RetryFor: -1})
	var fault *ConfigError
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), "SourceAlias") || !strings.Contains(err.Error(), "RetryFor") {
		t.Errorf("%v", err)
	}
}

func TestReadErrors(t *testing.T) {
	l := oneToOne(t)
	var retried []string
	fail := func(n int, code int16) {
		testkafka.Kfake(l.c).ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			if n--; n >= 0 {
				testkafka.Kfake(l.c).KeepControl()
			}
			if n < 0 {
				return nil, nil, false
			}
			req, resp := kreq.(*kmsg.FetchRequest), kreq.ResponseKind().(*kmsg.FetchResponse)
			for _, rt := range req.Topics {
				st := kmsg.NewFetchResponseTopic()
				st.Topic, st.TopicID = rt.Topic, rt.TopicID
				sp := kmsg.NewFetchResponseTopicPartition()
				sp.ErrorCode = code
				st.Partitions = append(st.Partitions, sp)
				resp.Topics = append(resp.Topics, st)
			}
			return resp, nil, true
		})
	}
	fail(2, kerr.NotLeaderForPartition.Code)
	tr := l.open(Config{OnRetry: func(op string, _ error) { retried = append(retried, op) }})
	if len(retried) != 2 {
		t.Errorf("retried %q", retried)
	}
	fail(1, kerr.TopicAuthorizationFailed.Code)
	var topic *TopicError
	if _, err := tr.Translate(t.Context(), "orders", 0, 600); !errors.As(err, &topic) || topic.Topic != "A.orders" || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("denied: %v", err)
	}
	if got, err := tr.Translate(t.Context(), "orders", 0, 600); err != nil || got.Offset != 600 {
		t.Errorf("allowed: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, l.cl, Config{SourceAlias: "A"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
