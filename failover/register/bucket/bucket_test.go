package bucket_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
)

const epoch1Key = "epochs/s/00000000000000000001.json"

// faulty is a bucket with faults in front, and what is behind them.
func faulty(t testing.TB) (*blob.Bucket, *faultbucket.Faults, *blob.Bucket) {
	inner := memblob.OpenBucket(nil)
	b, faults := faultbucket.New(inner)
	t.Cleanup(func() { noError(t, errors.Join(b.Close(), inner.Close())) })
	return b, faults, inner
}

func openBucket(t testing.TB, b *blob.Bucket, cfg bucket.Config) *bucket.Register {
	t.Helper()
	r, err := bucket.Open(t.Context(), b, cfg)
	noError(t, err)
	return r
}

// TestBucketRequests: a poll is one GET, and one of what is known where the driver doesn't say that
// its NotFound is a 404 of the object; nothing is listed, and the keys are what they are.
func TestBucketRequests(t *testing.T) {
	b, faults, inner := faulty(t)
	says := func(error) (int, bool) { return http.StatusNotFound, true }
	r := openBucket(t, b, bucket.Config{Prefix: "dr/"})
	for _, c := range []struct {
		r    *bucket.Register
		want []string
	}{
		{r, []string{"dr/" + epoch1Key, "dr/register"}},
		{openBucket(t, b, bucket.Config{Prefix: "dr/", Status: says}), []string{"dr/" + epoch1Key}},
	} {
		faults.Reset(nil)
		if _, err := c.r.Get(t.Context(), "s", 1); !errors.Is(err, register.ErrNoEpoch) {
			t.Fatal(err)
		}
		var got []string
		for _, op := range faults.Ops() {
			if got = append(got, op.Key); op.Kind != faultbucket.Get {
				t.Fatal(op)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Fatal(got, c.want)
		}
	}
	noError(t, r.Create(t.Context(), first("s")))
	faults.Reset(nil)
	if e, err := r.Get(t.Context(), "s", 1); err != nil || !e.Equal(first("s")) {
		t.Fatal(e, err)
	}
	if faults.Count() != 1 {
		t.Fatal(faults.Ops())
	}
	var keys []string
	for o, err := range all(t.Context(), inner) {
		noError(t, err)
		keys = append(keys, o)
	}
	if got, want := strings.Join(keys, " "), "dr/"+epoch1Key+" dr/register"; got != want {
		t.Fatal(got)
	}
}

func all(ctx context.Context, b *blob.Bucket) func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		for it := b.List(nil); ; {
			o, err := it.Next(ctx)
			if err != nil || !yield(o.Key, nil) {
				return
			}
		}
	}
}

// TestOpenBucket: which stores are refused, and when they are tried.
func TestOpenBucket(t *testing.T) {
	if _, err := bucket.Open(t.Context(), nil, bucket.Config{}); err == nil {
		t.Fatal("no bucket")
	}
	b, faults, inner := faulty(t)
	faults.IgnoreCreateOnly()
	for range 2 {
		if _, err := bucket.Open(t.Context(), b, bucket.Config{}); !errors.Is(err, register.ErrNotCreateOnly) {
			t.Fatal(err)
		}
	}
	later := openBucket(t, b, bucket.Config{Later: true})
	if err := later.Create(t.Context(), first("s")); !errors.Is(err, register.ErrNotCreateOnly) {
		t.Fatal(err)
	}
	if _, err := later.Get(t.Context(), "s", 1); !errors.Is(err, register.ErrNoEpoch) {
		t.Fatal(err)
	}
	reader := openBucket(t, inner, bucket.Config{ReadOnly: true})
	if err := reader.Create(t.Context(), first("s")); !errors.Is(err, register.ErrReadOnly) {
		t.Fatal(err)
	}
	for text, want := range map[string]any{
		"kafkadr register\nformat 2\n": new(*register.VersionError),
		"kafkadr register\nformat 0\n": new(*register.DamageError),
		"":                             new(*register.DamageError),
	} {
		noError(t, inner.WriteAll(t.Context(), "register", []byte(text), nil))
		if _, err := bucket.Open(t.Context(), inner, bucket.Config{}); !errors.As(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestBucketFaults makes every operation go wrong in turn, in every way: opening and creating
// succeed, or say so, and what is there is whole.
func TestBucketFaults(t *testing.T) {
	for _, fault := range []faultbucket.Fault{faultbucket.Before, faultbucket.After, faultbucket.Drop, faultbucket.Cut, faultbucket.Short, faultbucket.Full} {
		for _, retries := range []int{-1, 3} {
			for n := 1; ; n++ {
				done := false
				synctest.Test(t, func(t *testing.T) { done = bucketFault(t, fault, retries, n) })
				if done {
					break
				}
			}
		}
	}
}

func bucketFault(t *testing.T, fault faultbucket.Fault, retries, n int) (done bool) {
	b, faults, inner := faulty(t)
	faults.Set(faultbucket.At(n, fault))
	r, err := bucket.Open(t.Context(), b, bucket.Config{Retries: retries})
	if err == nil {
		err = r.Create(t.Context(), first("s"))
	}
	if err == nil {
		_, err = r.Get(t.Context(), "s", 1)
	}
	if err != nil && retries > 0 && fault != faultbucket.Drop {
		t.Fatalf("fault %d at operation %d of %v: %v", fault, n, faults.Ops(), err)
	}
	done = faults.Count() < n
	clean := openBucket(t, inner, bucket.Config{})
	e, getErr := clean.Get(t.Context(), "s", 1)
	switch {
	case err == nil && getErr != nil:
		t.Fatalf("fault %d at operation %d: a Create that succeeded isn't there: %v", fault, n, getErr)
	case getErr == nil && !e.Equal(first("s")):
		t.Fatal(e)
	case getErr != nil && !errors.Is(getErr, register.ErrNoEpoch):
		t.Fatal(getErr)
	}
	noError(t, clean.Create(t.Context(), first("s")))
	return done
}

// TestBucketLies: a store that says success and keeps nothing, one that writes over what is there,
// one that forgets.
func TestBucketLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, faults, inner := faulty(t)
		r := openBucket(t, b, bucket.Config{})
		faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Drop))
		if err := r.Create(t.Context(), first("s")); !errors.Is(err, register.ErrStale) {
			t.Fatal(err)
		}
		faults.Set(nil)
		noError(t, r.Create(t.Context(), first("s")))

		other := first("s")
		other.By = "another"
		raw, err := register.Encode(other)
		noError(t, err)
		noError(t, inner.WriteAll(t.Context(), epoch1Key, raw, nil))
		if _, err := r.Get(t.Context(), "s", 1); !errors.Is(err, register.ErrNotCreateOnly) {
			t.Fatal(err)
		}
		if err := r.Create(t.Context(), first("s")); !errors.Is(err, register.ErrNotCreateOnly) {
			t.Fatal(err)
		}
		noError(t, inner.Delete(t.Context(), epoch1Key))
		if _, err := r.Get(t.Context(), "s", 1); !errors.Is(err, register.ErrStale) || errors.Is(err, register.ErrNoEpoch) {
			t.Fatal(err)
		}

		faults.IgnoreCreateOnly()
		faults.Gate(func(ctx context.Context, op faultbucket.Op) error { // another writes over it before it is read back
			if op.Kind == faultbucket.Get {
				return inner.WriteAll(ctx, "epochs/t/00000000000000000001.json", raw, nil)
			}
			return nil
		})
		if err := r.Create(t.Context(), first("t")); !errors.Is(err, register.ErrNotCreateOnly) {
			t.Fatal(err)
		}
	})
}

// TestBucketSilence: a store that doesn't answer costs the timeout, or the caller's context.
func TestBucketSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, faults, _ := faulty(t)
		var retries int
		r := openBucket(t, b, bucket.Config{Timeout: time.Second, Retries: 2, Hooks: bucket.Hooks{OnRetry: func(string, string, error) { retries++ }}})
		faults.Set(func(faultbucket.Op) faultbucket.Fault { return faultbucket.Block })
		start := time.Now()
		if _, err := r.Get(t.Context(), "s", 1); err == nil || errors.Is(err, register.ErrNoEpoch) || time.Since(start) > 4*time.Second || retries != 2 {
			t.Fatal(err, time.Since(start), retries)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		for _, err := range []error{r.Create(ctx, first("s")), second(r.Get(ctx, "s", 1))} {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Fatal(took)
		}
	})
}

// TestBucketConflict: one of many creators wins, through handles of their own, whatever their PUTs
// come to.
func TestBucketConflict(t *testing.T) {
	b, faults, inner := faulty(t)
	faults.Set(func(op faultbucket.Op) faultbucket.Fault {
		if op.Kind == faultbucket.Put && op.N%3 == 0 {
			return faultbucket.After
		}
		return faultbucket.None
	})
	var mu sync.Mutex
	var wg sync.WaitGroup
	var winners, losers []string
	for i := range 8 {
		r := openBucket(t, b, bucket.Config{})
		wg.Go(func() {
			e := first("s")
			e.By = string(rune('a' + i))
			err := r.Create(t.Context(), e)
			mu.Lock()
			defer mu.Unlock()
			var conflict *register.ConflictError
			switch {
			case err == nil:
				winners = append(winners, e.By)
			case errors.As(err, &conflict):
				losers = append(losers, conflict.Epoch.By)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e, err := openBucket(t, inner, bucket.Config{}).Get(t.Context(), "s", 1)
	if err != nil || len(winners) != 1 || winners[0] != e.By || len(losers) != 7 {
		t.Fatal(e, err, winners, losers)
	}
	for _, by := range losers {
		if by != e.By {
			t.Fatal(losers)
		}
	}
}

// TestBucketDamage: objects that aren't epochs are errors that name them.
func TestBucketDamage(t *testing.T) {
	b, _, inner := faulty(t)
	r := openBucket(t, b, bucket.Config{Prefix: "p/"})
	for text, want := range map[string]any{
		"":                            new(*register.DamageError),
		"{":                           new(*register.DamageError),
		`{"version":9}`:               new(*register.VersionError),
		strings.Repeat(" ", 16<<20+1): new(*register.DamageError),
	} {
		noError(t, inner.WriteAll(t.Context(), "p/"+epoch1Key, []byte(text), nil))
		_, err := r.Get(t.Context(), "s", 1)
		if !errors.As(err, want) || !strings.Contains(err.Error(), epoch1Key) {
			t.Errorf("%.10q: %v", text, err)
		}
		if err := r.Create(t.Context(), first("s")); err == nil || !strings.Contains(err.Error(), epoch1Key) {
			t.Errorf("%.10q: create: %v", text, err)
		}
	}
}
