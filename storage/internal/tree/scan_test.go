package tree

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestScanAhead: nodes that take their time come in order, many of them at once; who stops early
// has loaded few, and leaves nothing under way.
func TestScanAhead(t *testing.T) {
	m := &mem{}
	tr := At(m.load, Ref{})
	const n = 20_000
	var want []string
	for i := range n {
		key := fmt.Sprintf("%06d", i)
		want = append(want, key)
		if err := tr.Set(t.Context(), []byte(key), []byte("value of a run")); err != nil {
			t.Fatal(err)
		}
	}
	root := m.commit(t, tr)
	synctest.Test(t, func(t *testing.T) {
		var loads, now, most atomic.Int64
		load := func(ctx context.Context, r Ref) ([]byte, error) {
			loads.Add(1)
			n := now.Add(1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			defer now.Add(-1)
			<-time.After(time.Duration(1+r.SHA256[0]%100) * time.Millisecond)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return m.load(ctx, r)
		}
		var got []string
		start := time.Now()
		for it, err := range At(load, root).Scan(t.Context(), nil, nil) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(it.Key))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d keys of %d, or another order", len(got), n)
		}
		took, all := time.Since(start), loads.Load()
		if alone := time.Duration(all) * 50 * time.Millisecond; took > alone/5 || most.Load() > scanAhead {
			t.Errorf("%s for %d nodes, %d at once", took, all, most.Load())
		}
		for _, stop := range []int{1, 1000} {
			loads.Store(0)
			seen := 0
			for range At(load, root).Scan(t.Context(), nil, nil) {
				if seen++; seen == stop {
					break
				}
			}
			if now.Load() != 0 {
				t.Errorf("%d loads are under way behind the scan", now.Load())
			}
			if needed := 10 + int64(stop)/10; loads.Load() > 2*needed {
				t.Errorf("%d nodes were loaded for %d items", loads.Load(), stop)
			}
		}
	})
}

// TestScanAheadError: an error is told in its place, behind all items before it.
func TestScanAheadError(t *testing.T) {
	m := &mem{}
	tr := At(m.load, Ref{})
	for i := range 5000 {
		if err := tr.Set(t.Context(), fmt.Appendf(nil, "%06d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	root := m.commit(t, tr)
	errNode := errors.New("this node")
	var refs []Ref
	record := func(ctx context.Context, r Ref) ([]byte, error) {
		raw, err := m.load(ctx, r)
		if len(raw) > 0 && raw[0] == 0 {
			refs = append(refs, r)
		}
		return raw, err
	}
	synced := At(record, root)
	for i := 0; i < 5000; i += 10 {
		if _, _, err := synced.Get(t.Context(), fmt.Appendf(nil, "%06d", i)); err != nil {
			t.Fatal(err)
		}
	}
	refs = slices.Compact(refs)
	bad := refs[len(refs)/2]
	load := func(ctx context.Context, r Ref) ([]byte, error) {
		if r == bad {
			return nil, errNode
		}
		return m.load(ctx, r)
	}
	n := 0
	for it, err := range At(load, root).Scan(t.Context(), nil, nil) {
		if err != nil {
			if !errors.Is(err, errNode) || n < 1000 || n > 4000 {
				t.Errorf("%v after %d items", err, n)
			}
			return
		}
		if want := fmt.Sprintf("%06d", n); string(it.Key) != want {
			t.Fatalf("%s, want %s", it.Key, want)
		}
		n++
	}
	t.Error("no error")
}
