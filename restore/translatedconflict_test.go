package restore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// logOf is a history of the records given.
func logOf(t testing.TB, rs ...*kgo.Record) opstest.History {
	t.Helper()
	raw, err := batch.Append(nil, 0, kgo.NoCompression(), rs...)
	if err != nil {
		t.Fatal(err)
	}
	return opstest.History{End: int64(len(rs)), Batches: []opstest.Batch{{Raw: raw}}}
}

// A target's topic that would refuse records, or isn't what the job left, is a conflict before
// anything is appended.
func TestTranslatedConflicts(t *testing.T) {
	old := time.UnixMilli(1000)
	keyed := &kgo.Record{Key: []byte("k"), Value: []byte("v"), Timestamp: old}
	for name, tt := range map[string]struct {
		log     opstest.History
		configs map[string]*string
		before  func(t *testing.T, cfg *Config, cl testkafka.Cluster)
		want    string
	}{
		"null key":      {logOf(t, keyed, &kgo.Record{Value: []byte("v"), Timestamp: old}), map[string]*string{"cleanup.policy": ptr("compact")}, nil, "null_key"},
		"keys":          {logOf(t, keyed), map[string]*string{"cleanup.policy": ptr("compact")}, nil, ""},
		"time ahead":    {logOf(t, &kgo.Record{Key: []byte("k"), Timestamp: time.Now().Add(48 * time.Hour)}), map[string]*string{"message.timestamp.after.max.ms": ptr("3600000")}, nil, "timestamps"},
		"time ago":      {logOf(t, keyed), map[string]*string{"message.timestamp.before.max.ms": ptr("3600000")}, nil, "timestamps"},
		"stamped":       {logOf(t, keyed), map[string]*string{"message.timestamp.before.max.ms": ptr("3600000"), "message.timestamp.type": ptr("LogAppendTime")}, nil, ""},
		"later version": {logOf(t, keyed), nil, laterNote, "ledger"},
		"other content": {logOf(t, keyed), nil, otherContent, "foreign_records"},
		"partitions":    {logOf(t, keyed), nil, morePartitions, "partitions"},
		"nothing":       {logOf(t, keyed), nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			topic := fakeTopic{name: "t", partitions: []opstest.History{tt.log}}
			cfg, cl := translatedConfig(t, fakeArchive(t, nil, topic))
			existing(t, cl, tt.configs, topic)
			if tt.before != nil {
				tt.before(t, &cfg, cl)
			}
			p, err := NewPlan(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, c := range p.Conflicts {
				kinds = append(kinds, c.Kind)
			}
			if got := strings.Join(kinds, " "); got != tt.want {
				t.Errorf("conflicts %v, want %s", p.Conflicts, tt.want)
			}
			var refused *RefusedError
			if _, err := p.Run(t.Context()); tt.want != "" && !errors.As(err, &refused) || tt.want == "" && err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// laterNote is a note of the job that a later version wrote.
func laterNote(t *testing.T, cfg *Config, cl testkafka.Cluster) {
	j := planned(t, *cfg).job
	restored(t, *cfg)
	key := j.topics[0].partitions[0].noteKey()
	c := testkafka.Client(t, cl)
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: ledger.Topic, Key: []byte(key), Value: []byte(`{"v":7}`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// otherContent has the same job append other records: its Edit was another.
func otherContent(t *testing.T, cfg *Config, _ testkafka.Cluster) {
	cfg.Edit = func(r *kgo.Record) bool { r.Value = []byte("changed"); return true }
	restored(t, *cfg)
	cfg.Edit = func(*kgo.Record) bool { return true }
	cfg.VerifyTarget = true
}

func morePartitions(t *testing.T, _ *Config, cl testkafka.Cluster) {
	if _, err := admin(t, cl).UpdatePartitions(t.Context(), 3, "t"); err != nil {
		t.Fatal(err)
	}
}

// Records that the target's cleaner took meanwhile, and such that its retention took, are neither
// missed nor appended again; the map goes on where they were.
func TestTranslatedAfterDeletion(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 10, 6, 5)}}
	s := fakeArchive(t, nil, topic)
	cfg, cl := translatedConfig(t, s)
	existing(t, cl, nil, topic)
	first := restored(t, cfg)
	c := connectTo(t, cl)
	j := planned(t, cfg).job.topics[0].partitions[0]
	if err := c.DeleteBefore(t.Context(), j.target(), 17); err != nil {
		t.Fatal(err)
	}
	forgetDone(t, cfg)
	cfg.VerifyTarget = true
	res := restored(t, cfg)
	if res.Records != 0 {
		t.Errorf("%d records were appended again", res.Records)
	}
	m, was := res.Maps[0], first.Maps[0]
	for u := int64(0); u < 45; u++ {
		got, how := m.Translate(u)
		want, whow := was.Translate(u)
		switch gone := whow == "exact" && want < 17; {
		case gone && got > 17: // a record would be skipped
			t.Errorf("%d, which is gone: %d %s", u, got, how)
		case !gone && u >= 10 && (got != want || how != whow):
			t.Errorf("%d: %d %s, was %d %s", u, got, how, want, whow)
		}
	}
}

// A topic that the restore makes has its configs in the end; one that was there keeps its own,
// whatever the snapshot says. Release gives back what is held, of the former alone.
func TestTranslatedConfigs(t *testing.T) {
	topics := []fakeTopic{
		{name: "there", partitions: []opstest.History{plain(t, 0, 2, 2)}, configs: map[string]string{"retention.ms": "5000"}},
		{name: "new", partitions: []opstest.History{plain(t, 0, 2, 2)}, configs: map[string]string{"retention.ms": "5000"}},
	}
	cfg, cl := translatedConfig(t, fakeArchive(t, nil, topics...))
	existing(t, cl, map[string]*string{"retention.ms": ptr("-1"), "cleanup.policy": ptr("delete")}, topics[0])
	restored(t, cfg)
	c := connectTo(t, cl)
	value := func(topic, key string) string {
		now, err := describeTopics(t.Context(), c, []string{topic})
		if err != nil {
			t.Fatal(err)
		}
		return now[topic][key].value
	}
	if value("there", cfgRetentionMs) != "-1" || value("new", cfgRetentionMs) != "-1" {
		t.Errorf("retention.ms %s and %s, want -1: kept, and held", value("there", cfgRetentionMs), value("new", cfgRetentionMs))
	}
	if _, err := Release(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if value("there", cfgRetentionMs) != "-1" || value("new", cfgRetentionMs) != "5000" {
		t.Errorf("released: retention.ms %s and %s, want -1 and 5000", value("there", cfgRetentionMs), value("new", cfgRetentionMs))
	}
}

// A batch that is longer than the target's topic takes is split; the map is the same.
func TestTranslatedSplits(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{large(t, 2)}}
	cfg, cl := translatedConfig(t, fakeArchive(t, nil, topic))
	existing(t, cl, map[string]*string{"max.message.bytes": ptr("100000")}, topic)
	res := restored(t, cfg)
	checkTranslated(t, cl, copyops.Filter{}, res.Maps, topic)
	if res.Records != 1800 || res.Maps[0].Len() != 1 {
		t.Errorf("%d records in %d runs", res.Records, res.Maps[0].Len())
	}
}
