package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
)

// TestFolders: what consoles make of a "folder" hides no entry, and is no object of somebody
// else's.
func TestFolders(t *testing.T) {
	for _, folder := range []string{"l/", "", "l/x/", "%slog/000/000/004/", "%slog/000/007/", "%slog/999/", "%slog/", "%send/", "%sseg/"} {
		t.Run(folder, func(t *testing.T) {
			all := small(t)
			prefix := strings.TrimSuffix(all.logKeys()[0], "log/000/000/000/001")
			key, last := folder, len(all.logKeys())
			if strings.Contains(folder, "%s") {
				key = fmt.Sprintf(folder, prefix)
			}
			if key == "" {
				t.Skip("only a prefixed bucket has such a key")
			}
			all[key] = nil
			m := &counter{}
			b := all.bucket(t)
			a, err := storage.Open(t.Context(), b, storage.Config{Hooks: storage.Hooks{OnOperation: m.count}})
			noError(t, err)
			s, err := a.Latest(t.Context(), nil)
			noError(t, err)
			if s.Info().Sequence != int64(last) || m.gets > 8 {
				t.Errorf("the latest is %d of %d entries, after %d reads", s.Info().Sequence, last, m.gets)
			}
			newWriter(t, a, "next")
		})
	}
	empty := objects{"l/": nil, "some/": nil}.bucket(t)
	newWriter(t, open(t, empty), "first")
}

type counter struct{ gets int }

func (c *counter) count(op, _ string, _ int64, _ error) {
	if op == "get" {
		c.gets++
	}
}

// TestMovedAway: after the way on, a later full snapshot is the latest, although entries that were
// moved away had higher numbers and have left witnesses.
func TestMovedAway(t *testing.T) {
	all := small(t)
	b := all.bucket(t)
	keys := all.logKeys()
	for range 4 { // 6 to 9
		noError(t, commitNow(t, open(t, b)))
	}
	a := open(t, b) // its cache gets blocks of what will be gone
	for info, err := range a.Snapshots(t.Context(), lineage) {
		noError(t, err)
		s, err := a.Snapshot(t.Context(), info.ID)
		noError(t, err)
		for _, err := range s.Topics(t.Context()) {
			noError(t, err)
		}
	}
	for _, key := range copyOf(t, b).logKeys()[len(keys)-1:] {
		noError(t, b.Delete(t.Context(), key))
	}
	if _, err := open(t, b).Latest(t.Context(), nil); !isDamage(err) {
		t.Fatalf("an older snapshot is the latest: %v", err)
	}
	w := newWriter(t, open(t, b), "way on")
	var info storage.Info
	for n := range byte(3) {
		var err error
		many := topic(3 + n)
		for i := range 100 { // a node of its own
			many.Configs = append(many.Configs, storage.TopicConfig{Key: fmt.Sprintf("config.%d", i), Source: "DYNAMIC_TOPIC_CONFIG"})
		}
		info, err = w.Commit(t.Context(), storage.Change{CreatedAt: time.Now(), Topics: []storage.Topic{many}})
		noError(t, err)
	}
	for _, a := range []*storage.Archive{a, open(t, b)} {
		s, err := a.Latest(t.Context(), nil)
		noError(t, err)
		if s.Info().ID != info.ID {
			t.Errorf("latest is %s, want %s", s.Info().ID, info.ID)
		}
		for _, err := range s.Topics(t.Context()) {
			noError(t, err)
		}
	}
	noError(t, sweep(t, b, "sweep"))
	noError(t, inspect(t, copyOf(t, b)))
}

// commitNow claims and takes a full snapshot, of a size that differs.
func commitNow(t *testing.T, a *storage.Archive) error {
	_, err := newWriter(t, a, "more").Commit(t.Context(), storage.Change{CreatedAt: time.Now(), Topics: []storage.Topic{topic(2)}})
	return err
}

func isDamage(err error) bool {
	var damage *storage.DamageError
	return errors.As(err, &damage)
}

// TestSweepRefused counts what the store won't remove, and removes the rest.
func TestSweepRefused(t *testing.T) {
	inner := small(t).bucket(t)
	b, faults := faultbucket.New(inner)
	a := open(t, b)
	w := newWriter(t, a, "died")
	kept := write(t, w, 30, partition(1, 0))
	write(t, w, 30, partition(1, 1))
	faults.Set(func(o faultbucket.Op) faultbucket.Fault {
		if o.Kind == faultbucket.Delete && o.Key == kept.Object.Key {
			return faultbucket.Hide
		}
		return faultbucket.None
	})
	for i, want := range []storage.SweepResult{{Objects: 1, Refused: 1, RefusedBytes: kept.Object.Size}, {Refused: 1, RefusedBytes: kept.Object.Size}} {
		res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{})
		noError(t, err)
		if want.Objects > 0 {
			want.Bytes = res.Bytes
		}
		if *res != want {
			t.Errorf("sweep %d: %+v, want %+v", i, *res, want)
		}
	}
}

// TestSlowUpload: a segment that a link takes long for isn't given up, and one whose store takes
// nothing is.
func TestSlowUpload(t *testing.T) {
	for name, c := range map[string]struct {
		took  time.Duration
		fails bool
	}{"one megabit": {140 * time.Second, false}, "nothing": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := memblob.OpenBucket(nil)
				defer func() { _ = inner.Close() }()
				b, faults := faultbucket.New(inner)
				w := newWriter(t, open(t, b), "w")
				faults.Gate(func(ctx context.Context, o faultbucket.Op) error {
					if o.Kind != faultbucket.Put {
						return nil
					}
					select {
					case <-time.After(c.took):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				s, err := w.NewSegment(t.Context())
				noError(t, err)
				value := strings.Repeat("x", 1<<20)
				for i := range int64(16) {
					noError(t, s.Append(partition(1, 0), makeBatch(t, i, value)))
				}
				if _, err := s.Close(); (err != nil) != c.fails {
					t.Error(err)
				}
			})
		})
	}
}
