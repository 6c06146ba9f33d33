package batch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func TestAbortTracker(t *testing.T) {
	data := func(base, producer int64) batch.Batch {
		return batchtest.Transactional(batchtest.Plain(t, base, 2), producer)
	}
	for name, c := range map[string]struct {
		add     []batch.AbortedTxn
		batches []batch.Batch
		want    []bool
		open    []batch.AbortedTxn // behind the last batch
	}{
		"nothing known":           {nil, []batch.Batch{data(0, 1), batchtest.Marker(t, 2, 1, 0)}, []bool{false, false}, nil},
		"until the marker":        {[]batch.AbortedTxn{{1, 0}}, []batch.Batch{data(0, 1), data(2, 2), batchtest.Marker(t, 4, 1, 0), data(5, 1)}, []bool{true, false, false, false}, nil},
		"from the first offset":   {[]batch.AbortedTxn{{1, 3}}, []batch.Batch{data(0, 1), batchtest.Marker(t, 2, 1, 1), data(3, 1)}, []bool{false, false, true}, []batch.AbortedTxn{{1, 3}}},
		"another's marker":        {[]batch.AbortedTxn{{1, 0}}, []batch.Batch{data(0, 1), batchtest.Marker(t, 2, 2, 0), data(3, 1)}, []bool{true, false, true}, []batch.AbortedTxn{{1, 0}}},
		"not transactional":       {[]batch.AbortedTxn{{-1, 0}}, []batch.Batch{batchtest.Plain(t, 0, 1)}, []bool{false}, []batch.AbortedTxn{{-1, 0}}},
		"two of one, unsorted":    {[]batch.AbortedTxn{{1, 8}, {1, 0}}, []batch.Batch{data(0, 1), batchtest.Marker(t, 2, 1, 0), data(3, 1), batchtest.Marker(t, 5, 1, 1), data(8, 1), batchtest.Marker(t, 10, 1, 0)}, []bool{true, false, false, false, true, false}, nil},
		"begun before the run":    {[]batch.AbortedTxn{{1, 0}}, []batch.Batch{data(50, 1), batchtest.Marker(t, 52, 1, 0), data(53, 1)}, []bool{true, false, false}, nil},
		"inside a compacted one":  {[]batch.AbortedTxn{{1, 1}}, []batch.Batch{data(0, 1)}, []bool{true}, []batch.AbortedTxn{{1, 1}}},
		"marker behind the cut":   {[]batch.AbortedTxn{{2, 5}, {1, 0}}, []batch.Batch{data(0, 1), data(5, 2)}, []bool{true, true}, []batch.AbortedTxn{{1, 0}, {2, 5}}},
		"emptied marker still is": {[]batch.AbortedTxn{{1, 0}}, []batch.Batch{data(0, 1), batchtest.Emptied(batchtest.Marker(t, 2, 1, 0)), data(3, 1)}, []bool{true, false, false}, nil},
	} {
		var tr batch.AbortTracker
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
	var tr batch.AbortTracker
	tr.Add(batch.AbortedTxn{-5, 0})
	m := batchtest.Marker(t, 0, 0, 1)
	for i := range int64(5 * batch.IdleProducers) {
		b := batchtest.Edit(m, func(raw []byte) {
			raw[0], raw[7], raw[6], raw[5] = 0, byte(i), byte(i>>8), byte(i>>16)
			raw[50], raw[49], raw[48] = byte(i), byte(i>>8), byte(i>>16)
		})
		tr.Aborted(b)
	}
	if n := tr.Known(); n > 2*batch.IdleProducers+1 || n < batch.IdleProducers {
		t.Error(n, "producers remembered")
	}
	if d := cmp.Diff([]batch.AbortedTxn{{-5, 0}}, tr.Open(1<<30)); d != "" {
		t.Error(d)
	}
}
