package storage

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage/internal/tree"
)

// TestSharedBlock: who waits for a block that another job reads gets it by itself where that job
// ends, and the error where the store fails.
func TestSharedBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memblob.OpenBucket(nil)
		b, faults := faultbucket.New(inner)
		a, err := Open(t.Context(), b, Config{Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		id := blockID{key: markerKey}
		gets := 0
		faults.Gate(func(ctx context.Context, op faultbucket.Op) error {
			gets++
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for _, interrupted := range []bool{true, false} {
			gets = 0
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := a.block(ctx, id)
				done <- err
			}()
			synctest.Wait()
			go func() {
				raw, err := a.block(t.Context(), id)
				if err == nil && string(raw) != string(marker()) {
					err = errors.New("other bytes")
				}
				done <- err
			}()
			synctest.Wait()
			if gets != 1 {
				t.Errorf("%d reads of one block", gets)
			}
			if interrupted {
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			} else if err := <-done; err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Errorf("interrupted %v: the other: %v", interrupted, err)
			}
			cancel()
			a.cache.forget(markerKey)
		}
	})
}

// TestNamerAnyOrder: a store that lists in another order than that of keys doesn't make what is
// named an orphan.
func TestNamerAnyOrder(t *testing.T) {
	tr := tree.At(nil, tree.Ref{})
	const n = 200
	for i := range int64(n) {
		if err := tr.Set(t.Context(), objectKey(1, 2*i), storedObject{Size: 1, Runs: 1}.encode()); err != nil {
			t.Fatal(err)
		}
	}
	for _, sorted := range []bool{true, false} {
		s := &Snapshot{l: Lineage{ClusterID: "c"}, tree: tr}
		names := &namer{s: s}
		names.next, names.stop = iter.Pull2(items(t.Context(), s, []byte{'o'}, s.decodeObject))
		defer names.stop()
		for i, number := range rand.Perm(2*n + 10) {
			if sorted {
				number = i
			}
			named, err := names.names(t.Context(), 1, int64(number))
			if want := number%2 == 0 && number < 2*n; named != want || err != nil {
				t.Errorf("sorted %v: segment %d is named: %v, %v", sorted, number, named, err)
			}
		}
	}
}
