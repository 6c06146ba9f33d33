package backup_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
)

// TestRunOutlivesBrokerFaults breaks the connection at every request of a Run in turn, but the
// first two, by which it is learned which cluster this is: a connection that can't be made is an
// error at once.
func TestRunOutlivesBrokerFaults(t *testing.T) {
	c := loaded(t)
	want := expected(t, c)
	var n, fail atomic.Int64
	c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		switch kmsg.Key(req.Key()) {
		case kmsg.Metadata, kmsg.ListOffsets, kmsg.OffsetForLeaderEpoch, kmsg.Fetch:
			if n.Add(1) == fail.Load() {
				return nil, errors.New("injected fault"), true
			}
		}
		return nil, nil, false
	})
	run := func(i int64) int64 {
		n.Store(0)
		fail.Store(i)
		a := archive(t, bucket(t))
		r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		s := open(t, a, r.Snapshot.ID)
		fail.Store(0)
		if diff := cmp.Diff(want, content(t, s)); diff != "" {
			t.Fatalf("request %d: %s", i, diff)
		}
		return n.Load()
	}
	requests := run(0)
	t.Logf("%d requests", requests)
	for i := range requests - 2 {
		run(i + 3)
	}
}
