package restore

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/storage"
)

func TestSelection(t *testing.T) {
	one := func() []opstest.History { return []opstest.History{plain(t, 0, 1, 1)} }
	s := fakeArchive(t, func(c *storage.Change) { c.Topics[4].Internal = true },
		fakeTopic{name: "orders", partitions: one()}, fakeTopic{name: "Orders", partitions: one()},
		fakeTopic{name: "orders.v2", partitions: one()}, fakeTopic{name: "gone", partitions: one(), deleted: true},
		fakeTopic{name: "__consumer_offsets", partitions: one()},
		fakeTopic{name: ledger.Topic, partitions: one()}, fakeTopic{name: "orders-v2", partitions: one()}, fakeTopic{name: "__remote_log_metadata", partitions: one()})
	for name, tt := range map[string]struct {
		cfg     Config
		want    []string // target names, in order
		unknown string
	}{
		"all that live":  {Config{}, []string{"Orders", "orders", "orders-v2", "orders.v2"}, ""},
		"a name":         {Config{Topics: []string{"orders.v2"}}, []string{"orders.v2"}, ""},
		"own, asked":     {Config{Topics: []string{"__remote_log_metadata"}}, []string{"__remote_log_metadata"}, ""},
		"expression":     {Config{Topics: []string{"orders.*"}}, []string{"orders", "orders-v2", "orders.v2"}, ""},
		"anchored":       {Config{Topics: []string{"order|rders"}}, nil, "order|rders"},
		"exclude":        {Config{Exclude: []string{"[oO]rders"}}, []string{"orders-v2", "orders.v2"}, ""},
		"deleted, asked": {Config{Topics: []string{"gone"}}, []string{"gone"}, ""},
		"deleted, not":   {Config{Topics: []string{"g.*"}}, nil, "g.*"},
		"internal":       {Config{Topics: []string{".*"}}, []string{"Orders", "orders", "orders-v2", "orders.v2"}, ""},
		"ledger, asked":  {Config{Topics: []string{ledger.Topic}}, []string{ledger.Topic}, ""},
		"order":          {Config{Order: []string{"orders.v2", "orders"}}, []string{"orders.v2", "orders", "Orders", "orders-v2"}, ""},
		"prefix, rename": {Config{Prefix: "p.", Rename: map[string]string{"orders": "o"}}, []string{"p.Orders", "o", "p.orders-v2", "p.orders.v2"}, ""},
		"unknown":        {Config{Topics: []string{"order"}}, nil, "order"},
		"unknown order":  {Config{Order: []string{"x"}}, nil, "x"},
		"unknown rename": {Config{Rename: map[string]string{"y": "z"}}, nil, "y"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.Snapshot = s
			j, err := newJob(t.Context(), tt.cfg)
			var unknown *UnknownTopicError
			if tt.unknown != "" {
				if !errors.As(err, &unknown) || unknown.Topic != tt.unknown {
					t.Fatalf("%v, want %s unknown", err, tt.unknown)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tj := range j.topics {
				got = append(got, tj.name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInternalTopic: what a backup never has is no unknown topic.
func TestInternalTopic(t *testing.T) {
	_, err := NewPlan(t.Context(), Config{Target: []kgo.Opt{kgo.SeedBrokers("x")}, Snapshot: &storage.Snapshot{}, Topics: []string{"__consumer_offsets"}})
	var internal *InternalTopicError
	if !errors.As(err, &internal) || internal.Topic != "__consumer_offsets" {
		t.Error(err)
	}
}

// All faults of a configuration are named at once.
func TestConfigFaults(t *testing.T) {
	cfg := Config{
		Topics: []string{"("}, Prefix: "a/b", Rename: map[string]string{"a": "x", "b": "x", "c": ".."},
		ReplicationFactor: -1, MaxBytesPerSecond: -1, MaxHoleTime: -time.Second, MemoryBytes: -1,
	}
	_, err := NewPlan(t.Context(), cfg)
	if err == nil {
		t.Fatal("no error")
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 10 {
		t.Errorf("%v, want 10 faults", err)
	}
	ok2 := Config{Target: []kgo.Opt{kgo.SeedBrokers("x")}, Snapshot: &storage.Snapshot{}}
	if err := ok2.validate(); err != nil {
		t.Error(err)
	}
}
