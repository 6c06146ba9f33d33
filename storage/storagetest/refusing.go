package storagetest

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage"
)

// Refusing is a store that can be made to refuse, or to be away, behind the driver that is tried.
type Refusing struct {
	Bucket *blob.Bucket
	// Refuse makes the store fail the operations that it is true for, from now on: get, stat, list,
	// put and delete, of a key or prefix. Nil ends that.
	Refuse func(func(op, key string) bool)
	// Status is what an archive there is opened with.
	Status func(error) (code int, object bool)
}

// RunRefusing checks that what a store merely doesn't give is never taken for absent: nothing is
// called damaged or missing, no snapshot older or none at all, nothing removed, no remedy is told;
// and that all is as before once the store gives it again. open returns an empty one.
func RunRefusing(t *testing.T, open func(t *testing.T) Refusing) {
	for name, refuse := range map[string]func(op, key string) bool{
		"Everything": func(string, string) bool { return true },
		"Get":        func(op, _ string) bool { return op == "get" },
		"Stat":       func(op, _ string) bool { return op == "stat" },
		"List":       func(op, _ string) bool { return op == "list" },
		"Put":        func(op, _ string) bool { return op == "put" },
		"Delete":     func(op, _ string) bool { return op == "delete" },
		"Marker":     func(op, key string) bool { return op != "list" && key == "archive" },
		"Log":        func(op, key string) bool { return op != "list" && strings.Contains(key, "/log/") },
		"Segments":   func(op, key string) bool { return op != "list" && strings.Contains(key, "/seg/") },
	} {
		t.Run(name, func(t *testing.T) { refused(t, open(t), refuse) })
	}
	t.Run("Once", func(t *testing.T) { refusedOnce(t, open(t)) })
}

var lineage = storage.Lineage{ClusterID: "conformance"}

// refused does all that is done with an archive while the store refuses.
func refused(t *testing.T, r Refusing, refuse func(op, key string) bool) {
	orphan := fill(t, r)
	opened := map[string]*storage.Archive{}
	for name := range refusedJobs {
		opened[name] = r.archive(t)
	}
	snapshot, err := opened["Latest"].Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	writer := claimWith(t, r.Bucket, "writer", r.config())
	r.Refuse(refuse)
	for name, job := range refusedJobs {
		if name == "Sweep" || name == "Claim" {
			continue // they fence the writer
		}
		judge(t, name, job(t.Context(), opened[name], snapshot.Info().ID))
		a, err := storage.Open(t.Context(), r.Bucket, r.config())
		if err == nil {
			err = job(t.Context(), a, snapshot.Info().ID)
		}
		judge(t, "Open and "+name, err)
	}
	judge(t, "Objects of a snapshot", snapshot.CheckObjects(t.Context()))
	judge(t, "Commit", commit(t.Context(), writer, 30))
	for _, name := range []string{"Claim", "Sweep"} {
		judge(t, name, refusedJobs[name](t.Context(), opened[name], ""))
	}
	r.Refuse(nil)
	whole(t, r, orphan)
}

// refusedOnce refuses each single operation of readers and of a claim: none is told as a loss.
func refusedOnce(t *testing.T, r Refusing) {
	orphan := fill(t, r)
	most := 1
	for n := 0; n < most; n++ { // the first time none
		var mu sync.Mutex
		i := 0
		r.Refuse(func(op, _ string) bool {
			mu.Lock()
			defer mu.Unlock()
			i++
			return i == n && op != "put"
		})
		a, err := storage.Open(t.Context(), r.Bucket, r.config())
		for _, name := range []string{"Latest", "Objects", "Chain", "Claim"} {
			if err == nil {
				err = refusedJobs[name](t.Context(), a, "")
			}
			judge(t, name, err)
		}
		if n == 0 {
			if err != nil {
				t.Fatal(err)
			}
			most = i
		}
	}
	r.Refuse(nil)
	whole(t, r, orphan)
}

func (r Refusing) config() storage.Config {
	return storage.Config{Retries: 1, Status: r.Status}
}

func (r Refusing) archive(t *testing.T) *storage.Archive {
	t.Helper()
	a, err := storage.Open(t.Context(), r.Bucket, r.config())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fill writes two snapshots, and a segment that nothing names, whose key it returns.
func fill(t *testing.T, r Refusing) string {
	t.Helper()
	w := claim(t, r.Bucket, "first")
	for base := int64(0); base < 20; base += 10 {
		if err := commit(t.Context(), w, base); err != nil {
			t.Fatal(err)
		}
	}
	closed, err := closedSegment(t.Context(), w, 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := commit(t.Context(), claim(t, r.Bucket, "second"), 20); err != nil {
		t.Fatal(err)
	}
	return closed.Object.Key
}

// whole checks that nothing was lost.
func whole(t *testing.T, r Refusing, orphan string) {
	t.Helper()
	a := r.archive(t)
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n < 30 {
		t.Errorf("%d records of 30", n)
	}
	if err := refusedJobs["Chain"](t.Context(), a, ""); err != nil {
		t.Error(err)
	}
	there, err := r.Bucket.Exists(t.Context(), orphan)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{})
	if err != nil || there && res.Objects == 0 || res.Refused > 0 {
		t.Errorf("sweep: %+v, %v; the orphan was there: %v", res, err, there)
	}
}

var errProblem = errors.New("verification has found a problem")

// refusedJobs return errProblem for what they find missing.
var refusedJobs = map[string]func(ctx context.Context, a *storage.Archive, id string) error{
	"Latest": func(ctx context.Context, a *storage.Archive, _ string) error {
		s, err := a.Latest(ctx, &lineage)
		if err == nil && s.Info().Sequence < 5 {
			return errors.Join(errProblem, errors.New("an older snapshot passes for the latest"))
		}
		return err
	},
	"Snapshot": func(ctx context.Context, a *storage.Archive, id string) error {
		_, err := a.Snapshot(ctx, id)
		return err
	},
	"List": func(ctx context.Context, a *storage.Archive, _ string) error {
		n := 0
		for _, err := range a.Snapshots(ctx, lineage) {
			if err != nil {
				return err
			}
			n++
		}
		if n < 3 {
			return errors.Join(errProblem, errors.New("snapshots aren't listed"))
		}
		return nil
	},
	"Objects": func(ctx context.Context, a *storage.Archive, _ string) error {
		s, err := a.Latest(ctx, &lineage)
		if err != nil {
			return err
		}
		return s.CheckObjects(ctx)
	},
	"Chain": func(ctx context.Context, a *storage.Archive, _ string) error {
		problems, err := a.VerifyChain(ctx, lineage)
		for _, p := range problems {
			if p.Kind == "unreadable" { // that much may be said of what the store refuses
				err = cmp.Or(err, errors.New(p.Detail))
				continue
			}
			return errors.Join(errProblem, errors.New(p.Detail))
		}
		return err
	},
	"Claim": func(ctx context.Context, a *storage.Archive, _ string) error {
		_, err := a.NewWriter(ctx, lineage, storage.WriterConfig{})
		return err
	},
	"Sweep": func(ctx context.Context, a *storage.Archive, _ string) error {
		_, err := a.Sweep(ctx, lineage, storage.SweepOptions{})
		return err
	},
}

// judge refuses errors that tell a loss, or what to do about one.
func judge(t *testing.T, job string, err error) {
	t.Helper()
	var damage *storage.DamageError
	if errors.As(err, &damage) || errors.Is(err, errProblem) || errors.Is(err, storage.ErrNoSnapshot) || errors.Is(err, storage.ErrNoArchive) ||
		err != nil && strings.Contains(err.Error(), "out of the archive") {
		t.Errorf("%s, while the store refuses: %v", job, err)
	}
}
