package storeop_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"

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

// answer is a driver's error with the store's HTTP status.
type answer struct {
	code   int
	reason string
}

func (a answer) Error() string       { return fmt.Sprint(a.code, " ", a.reason) }
func (a answer) HTTPStatusCode() int { return a.code }
func (a answer) ErrorCode() string   { return a.reason }

// TestAbsent: what a NotFound of gocloud proves, by what the driver says and by what else the store
// shows.
func TestAbsent(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	_, notFound := bucket.ReadAll(t.Context(), "none")
	says := func(code int, object bool) storeop.Status { return func(error) (int, bool) { return code, object } }
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		status      storeop.Status
		must        bool
		proof, want error
		tries       int
		proofs      int
	}{
		"a 404 of the object":                      {says(404, true), false, gone, storeop.ErrAbsent, 1, 0},
		"a 404 of the object, which has to be":     {says(404, true), true, nil, storeop.ErrAbsent, 2, 2},
		"the same, and the proof fails":            {says(404, true), true, gone, storeop.ErrUnproven, 4, 4},
		"a 404 of the object or its bucket":        {says(404, false), false, nil, storeop.ErrAbsent, 1, 1},
		"a 404 of the bucket":                      {says(404, false), false, gone, storeop.ErrUnproven, 4, 4},
		"a 403":                                    {says(403, false), false, nil, storeop.ErrUnproven, 1, 0},
		"a 503":                                    {says(503, false), false, nil, storeop.ErrUnproven, 4, 0},
		"no answer":                                {says(0, false), false, gone, storeop.ErrUnproven, 4, 4},
		"no answer, and the proof succeeds":        {nil, false, nil, storeop.ErrAbsent, 1, 1},
		"the store lists it":                       {nil, false, storeop.ErrThere, storeop.ErrThere, 4, 4},
		"the proof is itself of something gone":    {nil, false, notFound, storeop.ErrUnproven, 4, 4},
		"the proof is itself forbidden, and so on": {nil, true, answer{403, "AccessDenied"}, storeop.ErrUnproven, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, proofs := 0, 0
				err := storeop.Do(t.Context(), storeop.Policy{
					Timeout: time.Second, Retries: 3, MaxBackoff: time.Second, Status: c.status, Must: c.must,
					Proof: func(context.Context) error { proofs++; return c.proof },
				}, func(context.Context) error { tries++; return notFound })
				if !errors.Is(err, c.want) || tries != c.tries || proofs != c.proofs {
					t.Errorf("%v after %d tries and %d proofs; want %v after %d and %d", err, tries, proofs, c.want, c.tries, c.proofs)
				}
				if absent := errors.Is(err, storeop.ErrAbsent); absent != (gcerrors.Code(err) == gcerrors.NotFound) {
					t.Errorf("%v: its code is %v", err, gcerrors.Code(err))
				}
			})
		})
	}
}

// TestFinalAnswers: which answers aren't asked for again.
func TestFinalAnswers(t *testing.T) {
	for _, c := range []struct {
		err   error
		tries int
	}{
		{answer{400, "InvalidArgument"}, 1}, {answer{501, "NotImplemented"}, 1}, {answer{403, "AccessDenied"}, 1}, {answer{301, "PermanentRedirect"}, 1},
		{answer{503, "SlowDown"}, 3}, {answer{500, "InternalError"}, 3}, {answer{429, ""}, 3}, {answer{409, "ConditionalRequestConflict"}, 3},
		{answer{400, "RequestTimeout"}, 3}, {answer{400, "BadDigest"}, 3}, {&net.DNSError{IsNotFound: true}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			err := storeop.Do(t.Context(), storeop.Policy{Timeout: time.Second, Retries: 2, MaxBackoff: time.Second}, func(context.Context) error { tries++; return c.err })
			if !errors.Is(err, c.err) || tries != c.tries {
				t.Errorf("%v: %d tries, %v; want %d", c.err, tries, err, c.tries)
			}
		})
	}
}

// TestDoMovesBytes: what moves bytes has the time that a slow link takes.
func TestDoMovesBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := storeop.Do(t.Context(), storeop.Policy{Timeout: time.Minute, Bytes: 24 << 20, Retries: -1}, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if took := time.Since(begin); !errors.Is(err, storeop.ErrTimeout) || took != time.Minute+384*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}
