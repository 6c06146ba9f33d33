package restore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/storage"
)

// Committed offsets come back as read, but inside what is there, with leader epoch -1, under the topics' new names.
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
	restored(t, cfg) // again: nothing is in the way
}
