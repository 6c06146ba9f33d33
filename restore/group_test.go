package restore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

// Committed offsets come back as read, but inside what is there, with leader epoch -1, under the
// topics' new names.
func TestGroups(t *testing.T) {
	id := kadm.TopicID{15: 1}
	at := func(topic kadm.TopicID, name string, p int32, offset int64, metadata *string) storage.GroupOffset {
		return storage.GroupOffset{TopicID: topic, Topic: name, Partition: p, Offset: offset, LeaderEpoch: 7, Metadata: metadata}
	}
	change := func(c *storage.Change) {
		c.Groups = []storage.Group{
			{Name: "as read", Offsets: []storage.GroupOffset{at(id, "t", 0, 12, ptr("m")), at(id, "t", 1, 55, nil)}},
			{Name: "behind", Offsets: []storage.GroupOffset{at(id, "t", 1, 3, nil)}},
			{Name: "beyond", Offsets: []storage.GroupOffset{at(id, "t", 0, 1000, nil)}},
			{Name: "other incarnation", Offsets: []storage.GroupOffset{at(kadm.TopicID{9}, "t", 0, 1, nil)}},
			{Name: "by name", Offsets: []storage.GroupOffset{at(kadm.TopicID{}, "t", 0, 5, nil), at(kadm.TopicID{}, "gone", 0, 5, nil)}},
			{Name: "unread", Error: "not authorized"},
		}
	}
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 5), plain(t, 50, 2, 5)}}
	cfg, cl := fakeConfig(t, fakeArchive(t, change, topic))
	cfg.Groups, cfg.Prefix = true, "new."
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := []GroupPlan{
		{Group: "as read", Topic: "new.t", Partition: 0, Offset: 12, AsRead: 12},
		{Group: "as read", Topic: "new.t", Partition: 1, Offset: 55, AsRead: 55},
		{Group: "behind", Topic: "new.t", Partition: 1, Offset: 50, AsRead: 3, Why: "below_log_start"},
		{Group: "beyond", Topic: "new.t", Partition: 0, Offset: 15, AsRead: 1000, Why: "beyond_cut"},
		{Group: "by name", Topic: "new.t", Partition: 0, Offset: 5, AsRead: 5},
	}
	if diff := cmp.Diff(want, p.Groups, cmpopts.IgnoreUnexported(GroupPlan{})); diff != "" {
		t.Errorf("plan: %s", diff)
	}
	res, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res.Groups != 4 || len(res.GroupsClamped) != 2 {
		t.Errorf("%d groups, clamped %v", res.Groups, res.GroupsClamped)
	}
	for _, g := range want {
		os, err := admin(t, cl).FetchOffsets(t.Context(), g.Group)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := os.Lookup(g.Topic, g.Partition)
		if o.At != g.Offset || o.LeaderEpoch != -1 || (o.Metadata == "m") != (g.Offset == 12) {
			t.Errorf("%s: committed %+v, want %d", g.Group, o.Offset, g.Offset)
		}
	}
	s, err := offsets.Open(t.Context(), testkafka.Client(t, cl), cfg.Snapshot.Info().ClusterID)
	if err != nil {
		t.Fatal(err)
	}
	for partition, end := range []int64{15, 60} {
		got, err := s.Translate(t.Context(), "t", int32(partition), end)
		if err != nil || got.How != offsets.HowExact || got.Topic != "new.t" || got.Offset != end {
			t.Errorf("%d at %d: %+v, %v", partition, end, got, err)
		}
	}
	restored(t, cfg) // again: nothing is in the way
}

// A group that the source had lost is named, and restored only if told to.
func TestAbsentGroup(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	change := func(c *storage.Change) {
		withGroup("gone", 0, 3)(c)
		c.Groups[0].AbsentSince = since
		withGroup("there", 0, 4)(c)
		c.Groups[1].Pending = []storage.GroupPartition{{Topic: "t", Partition: 0}}
	}
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 5)}}
	cfg, cl := fakeConfig(t, fakeArchive(t, change, topic))
	cfg.Groups = true
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"warning: group gone: not restored: the source hasn't had it since 2026-01-02T03:04:05Z", "warning: group there: t/0: a transactional commit was under way"} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("no %q in\n%s", want, p)
		}
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := at(t, cl, "gone", "t"); got != -1 {
		t.Errorf("gone is at %d", got)
	}
	cfg.RestoreAbsent = true
	restored(t, cfg)
	if got := at(t, cl, "gone", "t"); got != 3 {
		t.Errorf("gone is at %d", got)
	}
}

// What groups had committed before is handed out before the first commit, and can be restored.
func TestGroupsBefore(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 5)}}
	cfg, cl := fakeConfig(t, fakeArchive(t, withGroup("g", 0, 5), topic))
	restored(t, cfg)
	commit(t, cl, "g", "t", 0, 2)
	cfg.Groups = true
	var before *offsets.Before
	cfg.SaveGroups = func(b *offsets.Before) error {
		before = b
		if got := at(t, cl, "g", "t"); got != 2 {
			t.Errorf("g is at %d", got)
		}
		return nil
	}
	if res := restored(t, cfg); res.GroupsBefore != before || before == nil || at(t, cl, "g", "t") != 5 {
		t.Errorf("%+v", res)
	}
	if _, err := offsets.Rollback(t.Context(), testkafka.Client(t, cl), before, offsets.RollbackConfig{}); err != nil {
		t.Fatal(err)
	}
	if got := at(t, cl, "g", "t"); got != 2 {
		t.Errorf("g is at %d", got)
	}
}

// at is what a group has committed for partition 0, or -1.
func at(t *testing.T, cl testkafka.Cluster, group, topic string) int64 {
	t.Helper()
	os, err := admin(t, cl).FetchOffsets(t.Context(), group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := os.Lookup(topic, 0); ok {
		return o.At
	}
	return -1
}

// In a translated restore groups follow their records, through the map, once these are there.
func TestTranslatedGroups(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 5)}}
	cfg, cl := translatedConfig(t, fakeArchive(t, func(c *storage.Change) {
		withGroup("inside", 0, 4)(c)
		withGroup("end", 0, 15)(c)
		withGroup("beyond", 0, 99)(c)
	}, topic))
	existing(t, cl, nil, topic)
	cfg.Groups = true
	p := planned(t, cfg)
	for _, gp := range p.Groups {
		if gp.Offset != -1 || gp.Why != "not_mapped_yet" {
			t.Errorf("%+v", gp)
		}
	}
	res, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := mapOf(t, res.Maps, "t", 0)
	want, _ := m.Translate(4)
	if want < 5 { // others' records are before it
		t.Fatal(want)
	}
	for group, want := range map[string]int64{"inside": want, "end": m.DownstreamEnd(), "beyond": m.DownstreamEnd()} {
		if got := at(t, cl, group, "t"); got != want {
			t.Errorf("%s is at %d, want %d", group, got, want)
		}
	}
	if len(res.GroupsClamped) != 1 || res.GroupsClamped[0].Group != "beyond" || res.Groups != 3 {
		t.Errorf("%+v", res)
	}
	for _, gp := range planned(t, cfg).Groups { // again: it is all known
		if got := at(t, cl, gp.Group, "t"); gp.Offset != got {
			t.Errorf("%+v, is at %d", gp, got)
		}
	}
	restored(t, cfg)
}
