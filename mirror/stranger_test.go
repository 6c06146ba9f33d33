package mirror

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// askedOf notes the names of the requests that a cluster gets.
func askedOf(cl testkafka.Cluster) func() []string {
	var mu sync.Mutex
	seen := map[string]bool{}
	k := testkafka.Kfake(cl)
	k.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		seen[kmsg.NameForKey(req.Key())] = true
		return nil, nil, false
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		var names []string
		for name := range seen {
			names = append(names, name)
		}
		return names
	}
}

// TestStranger has another cluster answer at the addresses of one side while the mirror runs, and
// topic_deleted delete copies: nothing is believed of the stranger, nothing is written to it, the
// status names both, and the mirror goes on when the right one is back.
func TestStranger(t *testing.T) {
	for _, side := range []string{sideSource, sideTarget} {
		t.Run(side, func(t *testing.T) {
			t.Parallel() // it waits
			src, dst := pairOf(t, "t", "u")
			other := testkafka.Fake(t, testkafka.Options{})
			create(t, other, 1, nil, "t", "w")
			produce(t, other, "t", 1, 3)
			asked := askedOf(other)
			cfg := quickConfig(src, dst)
			cfg.Discover = 50 * time.Millisecond
			cfg.Policies = Policies{TopicDeleted: Delete, TopicRecreated: Recreate, StandbyDeleted: GoOn}
			meant, shared := src, testkafka.Share(src, other)
			cfg.Source = shared.Opts()
			if side == sideTarget {
				meant, shared = dst, testkafka.Share(dst, other)
				cfg.Source, cfg.Target = src.Opts(), shared.Opts()
			}
			r := start(t, cfg)
			r.caughtUp(src, "t", "u")
			shared.Turn(true)
			shared.Cut(false)
			r.until("the state is wrong_cluster", func(s Status) bool { return s.WrongCluster != nil })
			produce(t, src, "t", 1, 20)
			r.until("many looks", func(s Status) bool { return s.WrongCluster != nil && s.WrongCluster.SilentMillis > 4000 })
			s := r.Status()
			w := s.WrongCluster
			if w.Side != side || w.Want != meant.ID() || w.Got != other.ID() {
				t.Errorf("the status has %+v, want %s, %s and %s", w, side, meant.ID(), other.ID())
			}
			if s.LagMillis < 2000 || s.LagRecords == 0 || s.RPO.Unknown != s.Partitions {
				t.Errorf("lag %d ms and %d records, RPO %+v, of what isn't known", s.LagMillis, s.LagRecords, s.RPO)
			}
			if text, err := json.Marshal(s); err != nil || !strings.Contains(string(text), `"wrong_cluster":{"side":"`+side+`","want":"`+meant.ID()+`","got":"`+other.ID()+`"`) {
				t.Errorf("%v: %s", err, text)
			}
			if s.Events[WrongCluster] == 0 || s.Events[TopicDeleted]+s.Events[StandbyDeleted]+s.Events[TopicRecreated]+s.Events[Truncated]+s.Events[ForeignWriter] > 0 {
				t.Errorf("events %v", s.Recent)
			}
			for _, name := range asked() {
				if name != "ApiVersions" && name != "Metadata" {
					t.Errorf("the stranger got %s", name)
				}
			}
			shared.Turn(false)
			r.until("the right cluster is back", func(s Status) bool { return s.WrongCluster == nil && s.Events[Recovered] > 0 })
			r.caughtUp(src, "t", "u")
			same(t, src, dst, []string{"t", "u"})
			r.stop()
		})
	}
}

// TestOnceStranger ends a Once that hears only another cluster, with both IDs.
func TestOnceStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inMemory := func() testkafka.Cluster {
			return testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		}
		src, dst, other := inMemory(), inMemory(), inMemory()
		create(t, src, 1, nil, "t")
		produce(t, src, "t", 1, 20)
		shared := testkafka.Share(src, other)
		cfg := quickConfig(src, dst)
		cfg.Source = shared.Opts()
		k := testkafka.Kfake(src)
		k.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			shared.Turn(true)
			go shared.Cut(false)
			return nil, errors.New("cut off"), true
		})
		begun := time.Now()
		err := runOnce(t.Context(), cfg)
		var wrong *WrongClusterError
		if !errors.As(err, &wrong) || wrong.Want != src.ID() || wrong.Got != other.ID() {
			t.Fatalf("error %v", err)
		}
		if took := time.Since(begun); took < 29*time.Second || took > 50*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}
