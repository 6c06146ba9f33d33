package mm2

import (
	"cmp"
	"slices"
	"sort"
)

// points are what the checkpoints of one partition say, whatever their groups: the first record at
// or after up isn't before down. They are sorted by up.
type points struct {
	at []anchor
	// most is, for each, the greatest down of it and those before; best, of it and those behind,
	// the index of the one with the least up-down, the nearest of equal ones.
	most []int64
	best []int
}

func newPoints(at []anchor) points {
	p := points{at: at, most: make([]int64, len(at)), best: make([]int, len(at))}
	slices.SortFunc(at, func(a, b anchor) int { return cmp.Or(cmp.Compare(a.up, b.up), cmp.Compare(a.down, b.down)) })
	for i, a := range at {
		p.most[i] = a.down
		if i > 0 {
			p.most[i] = max(p.most[i-1], a.down)
		}
	}
	for i := len(at) - 1; i >= 0; i-- {
		p.best[i] = i
		if i+1 < len(at) {
			if b := p.best[i+1]; at[b].up-at[b].down < at[i].up-at[i].down {
				p.best[i] = b
			}
		}
	}
	return p
}

func (p *points) behind(up int64) int {
	return sort.Search(len(p.at), func(i int) bool { return p.at[i].up > up })
}

// atLeast is the greatest offset that a checkpoint at or before up says, 0 where there is none.
func (p *points) atLeast(up int64) int64 {
	if i := p.behind(up); i > 0 {
		return p.most[i-1]
	}
	return 0
}

// after is the checkpoint behind up that says most.
func (p *points) after(up int64) (anchor, bool) {
	i := p.behind(up)
	if i == len(p.at) {
		return anchor{}, false
	}
	return p.at[p.best[i]], true
}
