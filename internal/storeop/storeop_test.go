package storeop_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/storeop"
)

var errStore = errors.New("the store says no")

func TestDo(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	_, notFound := bucket.ReadAll(t.Context(), "none")
	if notFound == nil {
		t.Fatal("an object that isn't there was read")
	}
	given := errors.New("given up")
	for name, c := range map[string]struct {
		errs  []error // of the tries; the last is of all that follow
		want  error
		tries int
	}{
		"at once":      {[]error{nil}, nil, 1},
		"at the third": {[]error{errStore, errStore, nil}, nil, 3},
		"never":        {[]error{errStore}, errStore, 4},
		"for good":     {[]error{errStore, notFound}, notFound, 2},
		"by policy":    {[]error{given}, given, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tried, again []error
				p := storeop.Policy{
					Timeout: time.Second, Retries: 3, MaxBackoff: 100 * time.Millisecond, Final: func(err error) bool { return errors.Is(err, given) },
					Tried: func(_ time.Duration, err error) { tried = append(tried, err) }, Again: func(err error) { again = append(again, err) },
				}
				begin := time.Now()
				err := storeop.Do(t.Context(), p, func(context.Context) error { return c.errs[min(len(tried), len(c.errs)-1)] })
				if !errors.Is(err, c.want) || len(tried) != c.tries || !slices.Equal(again, tried[:c.tries-1]) {
					t.Errorf("%v after %d tries, told of %v, then again after %v; want %v after %d", err, len(tried), tried, again, c.want, c.tries)
				}
				if most := (75 + 150 + 150) * time.Millisecond; time.Since(begin) > most {
					t.Errorf("paused for %s, want at most %s", time.Since(begin), most)
				}
			})
		})
	}
}

func TestDoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		err := storeop.Do(t.Context(), storeop.Policy{Timeout: time.Second, Retries: 1, MaxBackoff: time.Second}, hangs)
		if !errors.Is(err, storeop.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// The context's end ends a try and a pause, with its cause.
func TestDoCancelled(t *testing.T) {
	cause := errors.New("enough")
	for name, f := range map[string]func(context.Context) error{
		"try":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"pause": func(context.Context) error { return errStore },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
				begin := time.Now()
				if err := storeop.Do(ctx, storeop.Policy{Timeout: time.Minute, Retries: 3, MaxBackoff: time.Minute}, f); !errors.Is(err, cause) {
					t.Error(err)
				}
				if time.Since(begin) != 10*time.Millisecond {
					t.Errorf("it took %s", time.Since(begin))
				}
				if err := storeop.Do(ctx, storeop.Policy{Timeout: time.Minute}, func(context.Context) error { t.Error("tried"); return nil }); !errors.Is(err, cause) {
					t.Error(err)
				}
			})
		})
	}
}
