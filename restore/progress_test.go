package restore

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
)

// Hooks tell of every partition, and the last status says that all is done.
func TestHooksAndStatus(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 30, 5), plain(t, 7, 30, 5), {}}}
	cfg, _ := fakeConfig(t, fakeArchive(t, nil, topic))
	var mu sync.Mutex
	var last Status
	ends := map[int32]int64{}
	cfg.Hooks = Hooks{
		OnProgress:  func(s Status) { last = s },
		OnPartition: func(_ string, p int32, end int64) { mu.Lock(); ends[p] = end; mu.Unlock() },
	}
	res := restored(t, cfg)
	if diff := cmp.Diff(map[int32]int64{0: 150, 1: 157, 2: 0}, ends); diff != "" {
		t.Error(diff)
	}
	if last.Records != 300 || last.TotalRecords != 300 || last.Bytes != last.TotalBytes || last.Partitions != 3 || last.TotalPartitions != 3 {
		t.Errorf("status %+v", last)
	}
	if res.Records != 300 || res.Bytes == 0 || res.Duration <= 0 {
		t.Errorf("result %+v", res)
	}
	if res = restored(t, cfg); res.Records != 0 || last.Records != 300 {
		t.Errorf("again: %d records, status %+v", res.Records, last)
	}
}

// The limit on bytes per second holds.
func TestMaxBytesPerSecond(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{large(t, 2)}}
	cfg, _ := fakeConfig(t, fakeArchive(t, nil, topic))
	cfg.MaxBytesPerSecond = 4 << 20
	started := time.Now()
	res := restored(t, cfg)
	least := time.Duration(float64(res.Bytes-1<<20) / float64(cfg.MaxBytesPerSecond) * float64(time.Second))
	if took := time.Since(started); took < least {
		t.Errorf("%d bytes in %s, want at least %s", res.Bytes, took, least)
	}
}

// A plan prints and marshals.
func TestPlanText(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 5, 3, 5)}, configs: map[string]string{"cleanup.policy": "compact"}}
	cfg, _ := fakeConfig(t, fakeArchive(t, withGroup("g", 0, 99), topic))
	cfg.Groups, cfg.Prefix = true, "p."
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	text := p.String()
	for _, want := range []string{"create p.t from t", "cleanup.policy=compact (held until Release)", "[5,20)", "5 filler", "warning: group g", "1 committed offsets"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	raw, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(raw), `"hole_method":"write_txn_markers"`) {
		t.Errorf("%s, %v", raw, err)
	}
}
