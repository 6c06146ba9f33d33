package segment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAbortTracker(t *testing.T) {
	data := func(base, producer int64) Batch { return transactional(plain(t, base, 2), producer) }
	for name, c := range map[string]struct {
		add     []AbortedTxn
		batches []Batch
		want    []bool
		open    []AbortedTxn // behind the last batch
	}{
		"nothing known":           {nil, []Batch{data(0, 1), marker(t, 2, 1, 0)}, []bool{false, false}, nil},
		"until the marker":        {[]AbortedTxn{{1, 0}}, []Batch{data(0, 1), data(2, 2), marker(t, 4, 1, 0), data(5, 1)}, []bool{true, false, false, false}, nil},
		"from the first offset":   {[]AbortedTxn{{1, 3}}, []Batch{data(0, 1), marker(t, 2, 1, 1), data(3, 1)}, []bool{false, false, true}, []AbortedTxn{{1, 3}}},
		"another's marker":        {[]AbortedTxn{{1, 0}}, []Batch{data(0, 1), marker(t, 2, 2, 0), data(3, 1)}, []bool{true, false, true}, []AbortedTxn{{1, 0}}},
		"not transactional":       {[]AbortedTxn{{-1, 0}}, []Batch{plain(t, 0, 1)}, []bool{false}, []AbortedTxn{{-1, 0}}},
		"two of one, unsorted":    {[]AbortedTxn{{1, 8}, {1, 0}}, []Batch{data(0, 1), marker(t, 2, 1, 0), data(3, 1), marker(t, 5, 1, 1), data(8, 1), marker(t, 10, 1, 0)}, []bool{true, false, false, false, true, false}, nil},
		"begun before the run":    {[]AbortedTxn{{1, 0}}, []Batch{data(50, 1), marker(t, 52, 1, 0), data(53, 1)}, []bool{true, false, false}, nil},
		"inside a compacted one":  {[]AbortedTxn{{1, 1}}, []Batch{data(0, 1)}, []bool{true}, []AbortedTxn{{1, 1}}},
		"marker behind the cut":   {[]AbortedTxn{{2, 5}, {1, 0}}, []Batch{data(0, 1), data(5, 2)}, []bool{true, true}, []AbortedTxn{{1, 0}, {2, 5}}},
		"emptied marker still is": {[]AbortedTxn{{1, 0}}, []Batch{data(0, 1), emptied(marker(t, 2, 1, 0)), data(3, 1)}, []bool{true, false, false}, nil},
	} {
		var tr AbortTracker
		var got []bool
		for _, b := range c.batches {
			tr.Add(c.add...) // as every fetch response lists them again
			got = append(got, tr.Aborted(b))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(c.open, tr.Open(c.batches[len(c.batches)-1].EndOffset())); d != "" {
			t.Errorf("%s: open: %s", name, d)
		}
	}
}

func TestAbortTrackerIsBounded(t *testing.T) {
	var tr AbortTracker
	tr.Add(AbortedTxn{-5, 0})
	m := marker(t, 0, 0, 1)
	for i := range int64(5 * idleProducers) {
		b := edit(m, func(raw []byte) {
			raw[0], raw[7], raw[6], raw[5] = 0, byte(i), byte(i>>8), byte(i>>16)
			raw[50], raw[49], raw[48] = byte(i), byte(i>>8), byte(i>>16)
		})
		tr.Aborted(b)
	}
	if n := len(tr.producers); n > 2*idleProducers+1 || n < idleProducers {
		t.Error(n, "producers remembered")
	}
	if d := cmp.Diff([]AbortedTxn{{-5, 0}}, tr.Open(1<<30)); d != "" {
		t.Error(d)
	}
}
