package mm2

import "sort"

// anchor is a source offset whose place on the target is known.
type anchor struct{ up, down int64 }

// chain is what the offset syncs of one partition say together: places that grow in both offsets.
//
// A MirrorMaker that was killed copies again what it hadn't committed: the upstream offset goes back, the downstream one doesn't. That begins a new pass. Once the
// pass has as many records as the earlier ones had behind its first offset, nothing is left that only they hold, and it takes their place from its first offset on; until then starting
// in it could skip, and the earlier ones count.
type chain struct {
	anchors []anchor
	pass    []anchor // one that hasn't caught up
	from    int64    // first downstream offset of all that haven't, where pass isn't empty
}

// add takes the partition's next sync, in the order of the offset-syncs topic.
func (c *chain) add(a anchor) {
	current := &c.anchors
	if len(c.pass) > 0 {
		current = &c.pass
	}
	if len(*current) == 0 {
		*current = append(*current, a)
		return
	}
	last := (*current)[len(*current)-1]
	switch {
	case a == last:
	case a.down <= last.down: // another log: the target's topic was made anew, or all of the flow
		*c = chain{anchors: []anchor{a}}
	case a.up > last.up:
		*current = append(*current, a)
		c.catchUp()
	default:
		if len(c.pass) == 0 {
			c.from = a.down
		}
		c.pass = []anchor{a}
	}
}

// catchUp ends a pass that is long enough.
func (c *chain) catchUp() {
	if len(c.pass) == 0 {
		return
	}
	first, last := c.pass[0], c.pass[len(c.pass)-1]
	again := first.down - c.atLeast(first.up) // at most so many records are copied a second time
	if last.down < first.down+again {
		return
	}
	n := sort.Search(len(c.anchors), func(i int) bool { return c.anchors[i].up >= first.up })
	c.anchors, c.pass = append(c.anchors[:n], c.pass...), nil
}

// atLeast is an offset of the target that isn't behind the first record at or after up.
func (c *chain) atLeast(up int64) int64 {
	a, ok := c.atOrBefore(up)
	switch {
	case !ok:
		return 0
	case a.up == up:
		return a.down
	}
	return a.down + 1
}

// atOrBefore is the last anchor that isn't behind up.
func (c *chain) atOrBefore(up int64) (anchor, bool) {
	i := c.behind(up)
	if i == 0 {
		return anchor{}, false
	}
	return c.anchors[i-1], true
}

// after is the first anchor behind up.
func (c *chain) after(up int64) (anchor, bool) {
	i := c.behind(up)
	if i == len(c.anchors) {
		return anchor{}, false
	}
	return c.anchors[i], true
}

func (c *chain) behind(up int64) int {
	return sort.Search(len(c.anchors), func(i int) bool { return c.anchors[i].up > up })
}
