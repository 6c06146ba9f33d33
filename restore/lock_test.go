package restore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// Two restores of different topics that overlap: the later one takes over what both have, and the
// older one stops there and completes the others.
func TestOverlappingRestores(t *testing.T) {
	var topics []fakeTopic
	for _, name := range []string{"a", "b", "c"} {
		topics = append(topics, fakeTopic{name: name, partitions: []opstest.History{holey(t, 0, 60)}})
	}
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
	cfg.quiet = 300 * time.Millisecond
	cfg.MaxBytesPerSecond = 600_000 // some seconds
	first, second := cfg, cfg
	first.Topics, second.Topics = []string{"a", "b"}, []string{"b", "c"}
	errs := make(chan error, 1)
	go func() { errs <- attempt(t.Context(), first) }()
	k := testkafka.Kfake(cl)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for b := k.PartitionInfo("b", 0); b == nil || b.HighWatermark == 0; b = k.PartitionInfo("b", 0) {
		select {
		case err := <-errs:
			t.Fatalf("the first ended before it began with b: %v", err)
		case <-tick.C:
		}
	}
	if err := attempt(t.Context(), second); err != nil {
		t.Error(err)
	}
	err := <-errs
	var at *PartitionError
	if !errors.Is(err, ErrTakenOver) || !errors.As(err, &at) || at.Topic != "b" || strings.Contains(err.Error(), "a/0") {
		t.Errorf("the first: %v", err)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}
