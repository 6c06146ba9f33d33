package mm2

import "sort"

// anchor is a source offset whose place on the target is known.
type anchor struct {
	up, down int64
	// Of an offset sync: again says that copying went back to here or before, and before is the
	// downstream offset of the sync before it in the topic.
	again  bool
	before int64
}

// chain is what the offset syncs of one partition say together: places that grow in both offsets.
//
// A MirrorMaker that was killed copies again what it hadn't committed: the upstream offset goes
// back, the downstream one doesn't. From there on the later places count.
type chain struct{ anchors []anchor }

// add takes the partition's next sync, in the order of the offset-syncs topic.
func (c *chain) add(up, down int64) {
	last := anchor{up: -1, down: -1}
	if n := len(c.anchors); n > 0 {
		last = c.anchors[n-1]
	}
	switch {
	case up == last.up && down == last.down:
	case down <= last.down: // another log: the target's topic was made anew, or all of the flow
		c.anchors = []anchor{{up: up, down: down}}
	default:
		n := sort.Search(len(c.anchors), func(i int) bool { return c.anchors[i].up >= up })
		c.anchors = append(c.anchors[:n], anchor{up, down, up <= last.up, last.down})
	}
}

// lives bounds how many times in a row a MirrorMaker is thought to have died before it had copied
// again what was there.
const lives = 4

// suspect is where to begin to look for a copying that was begun again and didn't get as far as the
// one before: it began between two anchors, and from the second to the log's end there are fewer
// records than between the two. It is end where there are no such anchors. Where lost is true, one
// was begun again, and what it began with is before the log's start.
func (c *chain) suspect(start, end int64) (from int64, lost bool) {
	if len(c.anchors) == 0 {
		return start, false
	}
	from, previous := end, int64(0)
	for _, a := range c.anchors {
		if a.down >= start && end-a.down < lives*(a.down-previous) {
			began := previous - (a.down - a.before) // what was begun with was there before, at or behind this
			from = min(from, max(start, began))
			lost = lost || a.again && began < start && start > 0
		}
		previous = a.down
	}
	return from, lost
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
