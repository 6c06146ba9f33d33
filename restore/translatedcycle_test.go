package restore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
)

// littering puts records of others into all partitions of topics, which it creates where they
// aren't there.
func littering(t testing.TB, cl testkafka.Cluster, topics []testkafka.Topic) {
	t.Helper()
	adm := kadm.NewClient(testkafka.Client(t, cl))
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, ft := range topics {
		if _, err := adm.CreateTopic(t.Context(), ft.Partitions, 1, roomy(), ft.Name); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			t.Fatal(err)
		}
		testkafka.Known(t, cl, ft.Name)
		var rs []*kgo.Record
		for p := range min(ft.Partitions, 4) {
			for range 1 + p {
				rs = append(rs, &kgo.Record{Topic: ft.Name, Partition: p, Key: []byte("somebody else's")})
			}
		}
		if err := c.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// roomy configs take and keep whatever the archive has.
func roomy() map[string]*string {
	large, never, always := "10000000", "-1", "9223372036854775807"
	return map[string]*string{
		"max.message.bytes": &large, "retention.ms": &never,
		"message.timestamp.after.max.ms": &always, "message.timestamp.before.max.ms": &always,
	}
}

// litterKey is what a reader sees of the key of others' records.
func litterKey(t testing.TB) uint64 {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Options{})
	littering(t, cl, []testkafka.Topic{{Name: "x", Partitions: 1}})
	return read(t, cl, []string{"x"}).Topics["x"][0].Records[0].Key
}

func read(t testing.TB, cl testkafka.Cluster, topics []string) *testkafka.Content {
	t.Helper()
	c, err := testkafka.Capture(t.Context(), cl.Opts(), topics, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// following is the record that a group reads next which isn't somebody else's; nil: none is left.
func following(p *testkafka.Partition, offset int64, litter uint64) *testkafka.Record {
	for _, r := range p.Records {
		if r.Offset >= offset && r.Key != litter {
			r.Offset, r.TimestampType = 0, 0
			return &r
		}
	}
	return nil
}

// committing has groups commit at random offsets of all partitions.
func committing(t testing.TB, cl testkafka.Cluster, c *testkafka.Content, groups int, r *rand.Rand) {
	t.Helper()
	adm := kadm.NewClient(testkafka.Client(t, cl))
	for g := range groups {
		var os kadm.Offsets
		for topic, ps := range c.Topics {
			for p, part := range ps {
				if p < 8 {
					os.AddOffset(topic, p, part.Start+r.Int64N(part.End-part.Start+1), -1)
				}
			}
		}
		if err := adm.CommitAllOffsets(t.Context(), fmt.Sprintf("g%d", g), os); err != nil {
			t.Fatal(err)
		}
	}
}

func committed(t testing.TB, cl testkafka.Cluster, group string) kadm.OffsetResponses {
	t.Helper()
	os, err := kadm.NewClient(testkafka.Client(t, cl)).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	return os
}

// wantGroups holds that each group reads the same record next on both clusters.
func wantGroups(t testing.TB, was, is testkafka.Cluster, topics []string, groups int, litter uint64) {
	t.Helper()
	from, to := read(t, was, topics), read(t, is, topics)
	n := 0
	for g := range groups {
		group := fmt.Sprintf("g%d", g)
		now := committed(t, is, group)
		committed(t, was, group).Each(func(o kadm.OffsetResponse) {
			at, ok := now.Lookup(o.Topic, o.Partition)
			if !ok {
				t.Errorf("%s: %s/%d isn't committed", group, o.Topic, o.Partition)
				return
			}
			want := following(from.Topics[o.Topic][o.Partition], o.At, litter)
			got := following(to.Topics[o.Topic][o.Partition], at.At, litter)
			if (want == nil) != (got == nil) || want != nil && *want != *got {
				t.Errorf("%s: %s/%d at %d is now %d: reads %v next, not %v", group, o.Topic, o.Partition, o.At, at.At, got, want)
			}
			n++
		})
	}
	t.Logf("%d committed offsets", n)
	if n == 0 {
		t.Error("nothing was compared")
	}
}

// cycle: A is restored into B, which holds other records, and B into A', which does too, by
// translated offsets; groups go along.
func cycle(t *testing.T, a, b, back testkafka.Cluster, h testkafka.Hard) {
	const groups = 8
	litter := litterKey(t)
	topics := testkafka.Load(t, a, h)
	names := testkafka.Names(topics)
	r := rand.New(rand.NewPCG(3, 4))
	committing(t, a, read(t, a, names), groups, r)
	littering(t, b, topics[:len(topics)/2])
	cfg := restore.Config{Target: b.Opts(), Snapshot: snapshotOf(t, a), Topics: names, Groups: true, Offsets: restore.Translated, SourceAlias: "the old one"}
	_, res := runOn(t, cfg)
	wantGroups(t, a, b, names, groups, litter)
	wantStored(t, b, a.ID(), "the old one", res)
	littering(t, b, topics)
	littering(t, back, topics[len(topics)/2:])
	cfg = restore.Config{Target: back.Opts(), Snapshot: snapshotOf(t, b), Topics: names, Groups: true, Offsets: restore.Translated}
	_, res = runOn(t, cfg)
	wantGroups(t, b, back, names, groups, litter)
	wantGroups(t, a, back, names, groups, litter)
	wantStored(t, back, b.ID(), b.ID(), res)
	if _, res = runOn(t, cfg); res.Records != 0 {
		t.Errorf("again: %d records", res.Records)
	}
}

// TestTranslatedFailback: A is restored into B, which goes on as the source, and then back onto A's
// own topics, which have what was there at the disaster: every group reads on A what it would have
// read on B.
func TestTranslatedFailback(t *testing.T) {
	const groups = 8
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	litter := litterKey(t)
	topics := testkafka.Load(t, a, testkafka.Hard{ManyPartitions: 5, Without: []string{"open"}}) // what is open at A stays so, and would hide what is restored behind it
	names := testkafka.Names(topics)
	r := rand.New(rand.NewPCG(5, 6))
	committing(t, a, read(t, a, names), groups, r)
	littering(t, b, topics)
	runOn(t, restore.Config{Target: b.Opts(), Snapshot: snapshotOf(t, a), Topics: names, Groups: true, Offsets: restore.Translated})
	wantGroups(t, a, b, names, groups, litter)
	was := read(t, a, names)
	littering(t, b, topics) // what B gets as the source
	committing(t, b, read(t, b, names), groups, r)

	cfg := restore.Config{Target: a.Opts(), Snapshot: snapshotOf(t, b), Topics: names, Groups: true, Offsets: restore.Translated}
	_, res := runOn(t, cfg)
	wantGroups(t, b, a, names, groups, 0)
	wantStored(t, a, b.ID(), b.ID(), res)
	now := read(t, a, names)
	for _, m := range res.Maps {
		p := m.ID()
		is, before := now.Topics[p.Topic][p.Partition], was.Topics[p.Topic][p.Partition]
		if n := len(before.Records); len(is.Records) < n || !slices.Equal(is.Records[:n], before.Records) {
			t.Errorf("%s/%d: what was there has changed", p.Topic, p.Partition)
		}
	}
	if _, res = runOn(t, cfg); res.Records != 0 {
		t.Errorf("again: %d records", res.Records)
	}
}

// wantStored holds that what is noted on the target answers as the result's maps do, by each name
// of the source.
func wantStored(t testing.TB, cl testkafka.Cluster, id, alias string, res *restore.Result) {
	t.Helper()
	for _, source := range []string{id, alias} {
		s, err := offsets.Open(t.Context(), testkafka.Client(t, cl), source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range res.Maps {
			for _, at := range []int64{m.UpstreamStart(), (m.UpstreamStart() + m.UpstreamEnd()) / 2, m.UpstreamEnd(), m.UpstreamEnd() + 9} {
				want, how := m.Translate(at)
				got, err := s.Translate(t.Context(), m.ID().Topic, m.ID().Partition, at)
				if err != nil {
					t.Fatal(err)
				}
				if got.Offset != want || got.How != how || got.Topic != m.ID().TargetTopic {
					t.Errorf("%s/%d at %d: %+v, want %d %s", m.ID().Topic, m.ID().Partition, at, got, want, how)
				}
			}
		}
	}
	s, err := offsets.Open(t.Context(), testkafka.Client(t, cl), "another")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Translate(t.Context(), res.Maps[0].ID().Topic, 0, 1); err != nil || got.How != offsets.HowUnknown || got.Evidence == "" {
		t.Errorf("another source: %+v, %v", got, err)
	}
}

func TestTranslatedCycleFake(t *testing.T) {
	fake := func() testkafka.Cluster { return testkafka.Fake(t, testkafka.Options{}) }
	cycle(t, fake(), fake(), fake(), testkafka.Hard{ManyPartitions: 20})
}

func TestTranslatedCycleReal(t *testing.T) {
	real := func() testkafka.Cluster { return testkafka.Real(t, testkafka.Options{}) }
	cycle(t, real(), real(), real(), testkafka.Hard{ManyPartitions: 20})
}
