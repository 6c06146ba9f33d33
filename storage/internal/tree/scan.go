package tree

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sync"
)

// A Scan loads nodes ahead of the one it is at, so that slow storage is waited for once for many.
// The first leaf is loaded alone, behind each leaf twice as many nodes may be under way: who stops
// early has loaded no more than twice what was needed.
const (
	scanAhead      = 64
	scanAheadBytes = 1 << 20
)

// Scan yields the items with from <= key < to in order; a nil to is no bound. Nodes are loaded from
// several goroutines. A node that can't be read is a *[LostError] in its place; who goes on gets
// what is behind it.
func (t *Tree) Scan(ctx context.Context, from, to []byte) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if t.empty() {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		s := &scan{t: t, from: from, to: to, width: 1, rest: []*scanned{{kid: t.root, level: -1}}}
		defer s.loads.Wait()
		defer cancel()
		for len(s.rest) > 0 {
			if !s.step(ctx, yield) {
				return
			}
		}
	}
}

// scan is one under way. The nodes that are left are in reverse order: the last is the next.
type scan struct {
	t        *Tree
	from, to []byte
	rest     []*scanned
	width    int
	loads    sync.WaitGroup
}

// scanned is a node that is to be scanned, at a level (-1 is any), below nodes that take held
// bytes.
type scanned struct {
	kid
	level, held int
	low, high   []byte
	done        chan struct{} // closed when raw or err is set; nil where the load wasn't begun
	raw         []byte
	err         error
}

func (n *scanned) load(ctx context.Context, t *Tree) {
	n.raw, n.err = t.load(ctx, n.ref)
	close(n.done)
}

// step scans the next node: yields what a leaf has, or puts a node's kids in its place.
func (s *scan) step(ctx context.Context, yield func(Item, error) bool) bool {
	s.loadAhead(ctx)
	next := s.rest[len(s.rest)-1]
	s.rest = s.rest[:len(s.rest)-1]
	n, err := s.node(ctx, next)
	if err == nil && next.held+n.held > maxPathBytes {
		err = &DamageError{Ref: next.ref, Err: errLarge}
	}
	if err != nil {
		return yield(Item{}, &LostError{Low: next.low, High: next.high, Err: err})
	}
	if n.level == 0 {
		s.width = min(2*s.width, scanAhead)
		return n.scanLeaf(s.from, s.to, yield)
	}
	s.enter(n, next)
	return true
}

// enter puts the kids that may hold items of the scan before what is left.
func (s *scan) enter(n *node, at *scanned) {
	begin := len(s.rest)
	for i := n.child(s.from); i < len(n.kids); i++ {
		if s.to != nil && i > 0 && bytes.Compare(n.keys[i], s.to) >= 0 {
			break
		}
		low, high := n.bounds(i, at.low, at.high)
		s.rest = append(s.rest, &scanned{kid: n.kids[i], level: n.level - 1, held: at.held + n.held, low: low, high: high})
	}
	slices.Reverse(s.rest[begin:])
}

// loadAhead begins to load nodes behind the next one.
func (s *scan) loadAhead(ctx context.Context) {
	size := int64(0)
	for i := range min(s.width, len(s.rest)) {
		n := s.rest[len(s.rest)-1-i]
		if n.n != nil {
			continue
		}
		if size += n.ref.Length; i == 0 {
			continue // step loads it
		}
		if size > scanAheadBytes {
			return
		}
		if n.done == nil {
			n.done = make(chan struct{})
			s.loads.Go(func() { n.load(ctx, s.t) })
		}
	}
}

func (s *scan) node(ctx context.Context, at *scanned) (*node, error) {
	if at.n != nil {
		return at.n, nil
	}
	if at.done == nil {
		at.done = make(chan struct{})
		at.load(ctx, s.t)
	}
	<-at.done
	if at.err != nil {
		return nil, at.err
	}
	return decodeAt(at.raw, at.ref, at.level, at.low, at.high)
}
