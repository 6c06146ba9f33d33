package offsets

import "math"

// minIndexed is how many runs an index is made for; fewer are searched as they are.
const minIndexed = 8

// index finds runs by one side's offsets in constant time where runs lie
// evenly, and narrows a binary search where they don't. It cuts the range into
// buckets of 1<<shift offsets, between a quarter and half as many as runs, at
// 4 bytes each. Its last bucket is open: runs appended after it was made are there.
type index struct {
	shift uint
	first []uint32 // how many runs start before each bucket
}

func newIndex(runs []run, from side, start int64) index {
	n := len(runs)
	if n < minIndexed || n > math.MaxUint32 {
		return index{}
	}
	var ix index
	for last := runs[n-1][from] - start; last>>ix.shift >= int64(n/2); {
		ix.shift++
	}
	ix.first = make([]uint32, (runs[n-1][from]-start)>>ix.shift+1)
	next := 0
	for i := range runs {
		for bucket := int((runs[i][from] - start) >> ix.shift); next <= bucket; next++ {
			ix.first[next] = uint32(i)
		}
	}
	return ix
}

// bounds are those between which search's answer lies, for n runs and an offset so far behind the
// start.
func (ix *index) bounds(ahead int64, n int) (lo, hi int) {
	last := len(ix.first) - 1
	b := int(ahead >> (ix.shift & 63))
	switch {
	case b < last:
		return int(ix.first[b]), int(ix.first[b+1])
	case last >= 0:
		return int(ix.first[last]), n
	}
	return 0, n
}

// search returns how many runs start at x or before. Its steps don't branch on
// what they compare, since a processor would guess every other one wrong, and
// where a bucket is as full as most are, there are always three.
func (m *Map) search(from side, x int64) int {
	lo, hi := m.index[from].bounds(x-m.start[from], len(m.runs))
	if hi-lo < 8 && lo+8 <= len(m.runs) {
		runs := (*[8]run)(m.runs[lo:])
		i := 4 & starts(&runs[3], from, x)
		i += 2 & starts(&runs[i+1], from, x)
		i += 1 & starts(&runs[i], from, x)
		return lo + i
	}
	for n := hi - lo; n > 0; {
		half := (n + 1) / 2
		lo += half & starts(&m.runs[lo+half-1], from, x)
		n -= half
	}
	return lo
}

// starts is all ones if a run starts at x or before, else zero.
func starts(r *run, from side, x int64) int { return int((r[from&1] - x - 1) >> 63) }
