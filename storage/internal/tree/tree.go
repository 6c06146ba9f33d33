package tree

import (
	"bytes"
	"context"
	"sort"
)

// Load reads the bytes of a node. They may be shared and are not changed. It is called from several
// goroutines.
type Load func(ctx context.Context, r Ref) ([]byte, error)

// Tree is one map. Get and Scan are safe for concurrent use as long as nobody
// calls Set, Delete or Write.
type Tree struct {
	load Load
	root kid
}

// At is the map with the given root; the zero Ref is the empty one.
func At(load Load, root Ref) *Tree { return &Tree{load: load, root: kid{ref: root}} }

// Item is a key with its value. Both are read only.
type Item struct{ Key, Value []byte }

// open returns a kid's node without keeping it. Level -1 is any.
func (t *Tree) open(ctx context.Context, k kid, level int, low, high []byte) (*node, error) {
	if k.n != nil {
		return k.n, nil
	}
	raw, err := t.load(ctx, k.ref)
	if err != nil {
		return nil, err
	}
	return decodeAt(raw, k.ref, level, low, high)
}

// decodeAt decodes a node that is at a level; -1 is any.
func decodeAt(raw []byte, ref Ref, level int, low, high []byte) (*node, error) {
	n, err := decodeNode(raw, ref, low, high)
	if err == nil && level >= 0 && n.level != level {
		err = &DamageError{Ref: ref, Err: errLevel}
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (t *Tree) empty() bool { return t.root.n == nil && t.root.ref.IsZero() }

// leaf is the one that may hold key.
func (t *Tree) leaf(ctx context.Context, key []byte) (*node, error) {
	n, err := t.open(ctx, t.root, -1, nil, nil)
	var low, high []byte
	for err == nil && n.level > 0 {
		i := n.child(key)
		low, high = n.bounds(i, low, high)
		n, err = t.open(ctx, n.kids[i], n.level-1, low, high)
	}
	return n, err
}

// Get returns the key's value, and whether there is one.
func (t *Tree) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	if t.empty() {
		return nil, false, nil
	}
	n, err := t.leaf(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if i, ok := n.find(key); ok {
		return n.vals[i], true, nil
	}
	return nil, false, nil
}

// Floor returns the item with the greatest key that isn't above key.
func (t *Tree) Floor(ctx context.Context, key []byte) (Item, bool, error) {
	if t.empty() {
		return Item{}, false, nil
	}
	n, err := t.leaf(ctx, key)
	if err != nil {
		return Item{}, false, err
	}
	i, ok := n.find(key)
	if !ok {
		i--
	}
	if i < 0 {
		return Item{}, false, nil
	}
	return Item{Key: n.keys[i], Value: n.vals[i]}, true, nil
}

func (n *node) scanLeaf(from, to []byte, yield func(Item, error) bool) bool {
	i, _ := n.find(from)
	for ; i < len(n.keys); i++ {
		if to != nil && bytes.Compare(n.keys[i], to) >= 0 {
			return true
		}
		if !yield(Item{Key: n.keys[i], Value: n.vals[i]}, nil) {
			return false
		}
	}
	return true
}

// find is the place of the first key that isn't below key.
func (n *node) find(key []byte) (int, bool) {
	i := sort.Search(len(n.keys), func(i int) bool { return bytes.Compare(n.keys[i], key) >= 0 })
	return i, i < len(n.keys) && bytes.Equal(n.keys[i], key)
}

// child is the place of the kid that may hold key.
func (n *node) child(key []byte) int {
	i := sort.Search(len(n.keys), func(i int) bool { return bytes.Compare(n.keys[i], key) > 0 })
	return max(i-1, 0)
}

// bounds are those of the keys in kid i of a node whose own are low and high. The
// first kid reaches down to the node's own bound: a key below its first one goes there.
func (n *node) bounds(i int, low, high []byte) ([]byte, []byte) {
	if i > 0 {
		low = n.keys[i]
	}
	if i+1 < len(n.keys) {
		high = n.keys[i+1]
	}
	return low, high
}
