package mirror

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// An event's log line names the group, and has no fields that say nothing.
func TestEventLog(t *testing.T) {
	var b strings.Builder
	h := newHooks(Config{Logger: slog.New(slog.NewTextHandler(&b, nil))})
	h.event(Event{Kind: GroupDiverged, Group: "g1", Partition: -1, Offset: -1, Other: -1, Detail: "d"})
	if got := b.String(); !strings.Contains(got, "msg=group_diverged group=g1 detail=d") {
		t.Error(got)
	}
	b.Reset()
	h.event(Event{Kind: ForeignWriter, Topic: "t", Target: "A.t", Partition: 0, Offset: 3, Other: -1, Policy: Stop, Detail: "d"})
	if got := b.String(); !strings.Contains(got, "msg=foreign_writer topic=t partition=0 offset=3 policy=stop detail=d") {
		t.Error(got)
	}
}

// An event that the plan has foreseen is logged once.
func TestEventLoggedOnce(t *testing.T) {
	src, dst := pairOf(t, "bad")
	once(t, quickConfig(src, dst))
	produce(t, dst, "bad", 1, 1)
	cfg := quickConfig(src, dst)
	var b strings.Builder
	cfg.Logger = slog.New(slog.NewTextHandler(&b, nil))
	var stopped *StoppedError
	if err := runOnce(t.Context(), cfg); !errors.As(err, &stopped) {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), string(ForeignWriter)); n != 1 {
		t.Errorf("%d times: %s", n, b.String())
	}
}

// A kind that has no policy isn't called one that may be [].
func TestUnknownKind(t *testing.T) {
	_, err := Config{Policies: Policies{"nonsense": Stop}}.complete()
	if err == nil || !strings.Contains(err.Error(), `"nonsense" isn't a kind of event that has a policy`) || !strings.Contains(err.Error(), "topic_recreated") {
		t.Error(err)
	}
}

// A cluster onto itself is refused for that alone.
func TestSameClusterOnce(t *testing.T) {
	a, _ := pairOf(t, "t")
	var refused *RefusedError
	if err := runOnce(t.Context(), quickConfig(a, a)); !errors.As(err, &refused) || len(refused.Conflicts) != 1 || refused.Conflicts[0].Kind != "same_cluster" {
		t.Error(err)
	}
}
