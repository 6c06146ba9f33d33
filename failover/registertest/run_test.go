package registertest_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/failover/registertest"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// perTest keeps one value for each test.
func perTest[T any](make func(t testing.TB) T) func(t testing.TB) T {
	var mu sync.Mutex
	values := map[testing.TB]T{}
	return func(t testing.TB) T {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := values[t]; !ok {
			values[t] = make(t)
		}
		return values[t]
	}
}

func memBucket(t testing.TB) *blob.Bucket {
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func openBucket(t testing.TB, b *blob.Bucket) *bucket.Register {
	r, err := bucket.Open(t.Context(), b, bucket.Config{Prefix: "dr/", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openQuorum(t testing.TB, stores ...register.Store) register.Register {
	q, err := quorum.New(quorum.Config{Stores: stores, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestMemory(t *testing.T) {
	memory := perTest(func(testing.TB) *register.Memory { return register.NewMemory() })
	registertest.Run(t, func(t testing.TB) register.Register { return memory(t) })
}

func TestBucket(t *testing.T) {
	bucket := perTest(memBucket)
	registertest.Run(t, func(t testing.TB) register.Register { return openBucket(t, bucket(t)) })
}

func TestFiles(t *testing.T) {
	dir := perTest(func(t testing.TB) string { return t.TempDir() })
	registertest.Run(t, func(t testing.TB) register.Register { return openBucket(t, files(t, dir(t))) })
}

// TestRefusing has the driver's errors say nothing but NotFound, as gocloud's do of Google's 403
// and Azure's failed DNS.
func TestRefusing(t *testing.T) {
	says := func(err error) (int, bool) {
		if errors.Is(err, faultbucket.ErrHidden) {
			return http.StatusForbidden, false
		}
		return http.StatusNotFound, true
	}
	for _, c := range []struct {
		name   string
		fault  faultbucket.Fault
		tells  bool
		status func(error) (int, bool)
	}{{"not found", faultbucket.Hide, false, nil}, {"forbidden", faultbucket.Hide, true, says}, {"failure", faultbucket.Before, true, nil}} {
		t.Run(c.name, func(t *testing.T) {
			registertest.RunRefusing(t, func(t testing.TB) registertest.Refusing {
				b, faults := faultbucket.New(memBucket(t))
				return registertest.Refusing{
					Tells: c.tells,
					Open: func(t testing.TB) register.Register {
						r, err := bucket.Open(t.Context(), b, bucket.Config{Prefix: "dr/", Later: true, Retries: 1, Status: c.status})
						if err != nil {
							t.Fatal(err)
						}
						return r
					},
					Refuse: func(refuse func(op, key string) bool) {
						faults.Set(func(o faultbucket.Op) faultbucket.Fault {
							if refuse != nil && refuse(string(o.Kind), o.Key) {
								return c.fault
							}
							return faultbucket.None
						})
					},
				}
			})
		})
	}
}

func files(t testing.TB, dir string) *blob.Bucket {
	b, err := filestore.OpenBucket(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestQuorum(t *testing.T) {
	buckets := perTest(func(t testing.TB) [3]*blob.Bucket { return [3]*blob.Bucket{memBucket(t), memBucket(t), memBucket(t)} })
	registertest.Run(t, func(t testing.TB) register.Register {
		b := buckets(t)
		return openQuorum(t, openBucket(t, b[0]), openBucket(t, b[1]), openBucket(t, b[2]))
	})
}

// TestQuorumMixed has a store of every kind.
func TestQuorumMixed(t *testing.T) {
	memory := perTest(func(testing.TB) *register.Memory { return register.NewMemory() })
	bucket := perTest(memBucket)
	dir := perTest(func(t testing.TB) string { return t.TempDir() })
	registertest.Run(t, func(t testing.TB) register.Register {
		last := &waited{Store: openBucket(t, files(t, dir(t)))}
		t.Cleanup(last.wait) // before the directory is removed
		return openQuorum(t, memory(t), openBucket(t, bucket(t)), last)
	})
}

// waited is a store whose operations can be waited for: those that a quorum has cancelled go on for
// a moment.
type waited struct {
	register.Store
	mu sync.RWMutex
}

func (w *waited) CreateObject(ctx context.Context, key string, value []byte) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.Store.CreateObject(ctx, key, value)
}

func (w *waited) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// away is a store that fails, or that never answers.
type away struct{ silent bool }

var errAway = errors.New("the store is away")

func (a away) CreateObject(ctx context.Context, _ string, _ []byte) error { return a.wait(ctx) }

func (a away) ReadObject(ctx context.Context, _ string) ([]byte, error) { return nil, a.wait(ctx) }

func (a away) wait(ctx context.Context) error {
	if !a.silent {
		return errAway
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestQuorumOneAway(t *testing.T) {
	for name, silent := range map[string]bool{"Failing": false, "Silent": true} {
		t.Run(name, func(t *testing.T) {
			memories := perTest(func(testing.TB) [2]*register.Memory {
				return [2]*register.Memory{register.NewMemory(), register.NewMemory()}
			})
			registertest.Run(t, func(t testing.TB) register.Register {
				m := memories(t)
				return openQuorum(t, m[0], away{silent}, m[1])
			})
		})
	}
}

// TestUnreliable: a bucket whose every third operation fails, half of them after they have
// succeeded.
func TestUnreliable(t *testing.T) {
	bucket := perTest(func(t testing.TB) *blob.Bucket {
		b, faults := faultbucket.New(memBucket(t))
		faults.Set(func(op faultbucket.Op) faultbucket.Fault {
			return []faultbucket.Fault{faultbucket.None, faultbucket.None, faultbucket.Before, faultbucket.None, faultbucket.None, faultbucket.After}[op.N%6]
		})
		t.Cleanup(func() { _ = b.Close() })
		return b
	})
	registertest.Run(t, func(t testing.TB) register.Register { return openBucket(t, bucket(t)) })
}
