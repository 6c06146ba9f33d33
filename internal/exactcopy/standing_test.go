package exactcopy

import (
	"errors"
	"testing"
)

// TestStanding: the log's tail decides where our last batch is; a leader's memory counts where the
// tail shows nothing of ours, and shows the generation that was begun last, across the wrap of
// generations.
func TestStanding(t *testing.T) {
	data := func(gen uint16, epoch int16, last int32) known { return known{true, gen, epoch, last} }
	marker := func(gen uint16, epoch int16) known { return known{true, gen, epoch, -1} }
	var none known
	for name, c := range map[string]struct {
		before, after memory
		watermark     int64 // the end is 10
		tail, want    known
		err           error
	}{
		"nothing of ours":                {watermark: 10},
		"tail alone":                     {watermark: 10, tail: data(3, 4, 5), want: data(3, 4, 5)},
		"tail is a marker":               {watermark: 10, tail: marker(3, 4), want: marker(3, 4)},
		"memory alone":                   {before: memory{data(0, 1, 7)}, after: memory{data(0, 1, 7)}, watermark: 10, want: data(0, 1, 7)},
		"both":                           {before: memory{data(1, 2, 7)}, after: memory{data(1, 2, 7)}, watermark: 10, tail: data(1, 2, 7), want: data(1, 2, 7)},
		"the tail's is forgotten":        {before: memory{marker(0, maxEpoch)}, after: memory{marker(0, maxEpoch)}, watermark: 10, tail: data(1, 0, 9), want: data(1, 0, 9)},
		"it was forgotten meanwhile":     {before: memory{marker(0, maxEpoch), data(1, 0, 9)}, after: memory{marker(0, maxEpoch)}, watermark: 10, tail: data(1, 0, 9), err: errMoves},
		"across the wrap, forgotten":     {before: memory{marker(generations-1, maxEpoch)}, after: memory{marker(generations-1, maxEpoch)}, watermark: 10, tail: data(0, 2, 9), want: data(0, 2, 9)},
		"two generations":                {before: memory{data(1, 0, 9), marker(0, maxEpoch)}, after: memory{marker(0, maxEpoch), data(1, 0, 9)}, watermark: 10, want: data(1, 0, 9)},
		"two across the wrap":            {before: memory{data(0, 0, 9), marker(generations-1, maxEpoch)}, after: memory{data(0, 0, 9), marker(generations-1, maxEpoch)}, watermark: 10, want: data(0, 0, 9)},
		"many across the wrap":           {before: memory{marker(1, 2), marker(generations-2, maxEpoch), marker(0, maxEpoch), marker(40_000, maxEpoch)}, after: memory{marker(1, 2), marker(generations-2, maxEpoch), marker(0, maxEpoch), marker(40_000, maxEpoch)}, watermark: 10, want: marker(1, 2)},
		"a late marker of before":        {before: memory{marker(1, 4), marker(0, 3)}, after: memory{marker(1, 4), marker(0, 3)}, watermark: 10, tail: marker(0, 3), want: marker(1, 4)},
		"a late one across the wrap":     {before: memory{data(0, 0, 9), marker(generations-1, 3)}, after: memory{data(0, 0, 9), marker(generations-1, 3)}, watermark: 10, tail: marker(generations-1, 3), want: data(0, 0, 9)},
		"grown between the memories":     {before: memory{data(0, 1, 7)}, after: memory{data(0, 1, 8)}, watermark: 10, tail: data(0, 1, 8), err: errMoves},
		"begun between the memories":     {after: memory{data(0, 0, 9)}, watermark: 10, tail: data(0, 0, 9), err: errMoves},
		"the leader knows a later one":   {before: memory{data(0, 1, 8)}, after: memory{data(0, 1, 8)}, watermark: 10, tail: data(0, 1, 7), err: errMoves},
		"the leader knows a later epoch": {before: memory{marker(0, 2)}, after: memory{marker(0, 2)}, watermark: 10, tail: data(0, 1, 7), err: errMoves},
		"it tells data behind a marker":  {before: memory{data(0, 1, 7)}, after: memory{data(0, 1, 7)}, watermark: 10, tail: marker(0, 1), want: marker(0, 1)},
		"it knows less":                  {before: memory{marker(0, 1)}, after: memory{marker(0, 1)}, watermark: 10, tail: data(0, 2, 7), want: data(0, 2, 7)},
		"not on all replicas":            {before: memory{data(0, 1, 7)}, after: memory{data(0, 1, 7)}, watermark: 9, err: errNotReplicated},
	} {
		f := facts{before: c.before, end: 10, watermark: c.watermark, tail: c.tail, after: c.after}
		got, err := f.standing()
		if c.err != nil {
			c.want = none
		}
		if got != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %+v, %v, want %+v, %v", name, got, err, c.want, c.err)
		}
	}
}

// TestLanded: the log says whether a batch is in it; memory counts for the batch's own producer id
// alone.
func TestLanded(t *testing.T) {
	it := &item{base: 10, end: 14}
	this, before := known{true, 1, 0, 7}, known{true, 1, 0, 3}
	old := known{true, 0, maxEpoch, -1}
	for name, c := range map[string]struct {
		end, watermark int64
		tail           known
		memory         memory
		want           bool
		err            error
	}{
		"not there":                          {end: 10, watermark: 10},
		"not there, the leader has an older": {end: 10, watermark: 10, memory: memory{old}},
		"not there, remembered before":       {end: 10, watermark: 10, memory: memory{before, old}},
		"there, forgotten":                   {end: 14, watermark: 14, tail: this, want: true},
		"there, an older one remembered":     {end: 14, watermark: 14, tail: this, memory: memory{old}, want: true},
		"there, remembered":                  {end: 14, watermark: 14, tail: this, memory: memory{this}, want: true},
		"remembered, not on all replicas":    {end: 14, watermark: 10, memory: memory{this}, want: true},
		"not on all replicas, forgotten":     {end: 14, watermark: 10, err: errNotReplicated},
		"not on all replicas, an older one":  {end: 14, watermark: 10, memory: memory{old}, err: errNotReplicated},
		"remembered, not at the end":         {end: 10, watermark: 10, memory: memory{this}, err: errMoves},
		"another's of the same length":       {end: 14, watermark: 14, tail: known{true, 1, 0, 9}, err: ErrUndecided},
		"another generation's":               {end: 14, watermark: 14, tail: known{true, 0, 0, 7}, err: ErrUndecided},
		"a marker":                           {end: 14, watermark: 14, tail: known{true, 1, 0, -1}, err: ErrUndecided},
		"further":                            {end: 15, watermark: 15, memory: memory{this}, err: ErrUndecided},
		"gone back":                          {end: 9, watermark: 9, err: ErrUndecided},
	} {
		f := facts{end: c.end, watermark: c.watermark, tail: c.tail, after: c.memory}
		got, err := f.landed(it, this)
		if got != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v, %v, want %v, %v", name, got, err, c.want, c.err)
		}
	}
}
