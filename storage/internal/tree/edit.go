package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Set gives the key a value. A value that the key has already changes nothing.
func (t *Tree) Set(ctx context.Context, key, value []byte) error {
	if len(key)+len(value) > MaxNodeBytes-NodeBytes {
		return fmt.Errorf("value of %d bytes is too large", len(value))
	}
	if old, ok, err := t.Get(ctx, key); err != nil || ok && bytes.Equal(old, value) {
		return err
	}
	if t.empty() {
		t.root = kid{n: &node{dirty: true}}
	}
	root, err := t.pin(ctx, &t.root, -1, nil, nil)
	if err != nil {
		return err
	}
	right, err := t.set(ctx, root, nil, nil, bytes.Clone(key), bytes.Clone(value))
	if err != nil || right == nil {
		return err
	}
	t.root = kid{n: &node{
		level: root.level + 1,
		keys:  [][]byte{root.keys[0], right.keys[0]},
		kids:  []kid{{n: root}, {n: right}},
		dirty: true,
	}}
	return nil
}

// pin loads a kid's node to be changed.
func (t *Tree) pin(ctx context.Context, k *kid, level int, low, high []byte) (*node, error) {
	n, err := t.open(ctx, *k, level, low, high)
	if err != nil {
		return nil, err
	}
	k.n = n
	return n, nil
}

// set returns the right half if n was split.
func (t *Tree) set(ctx context.Context, n *node, low, high, key, value []byte) (*node, error) {
	if n.level == 0 {
		n.dirty = true
		i, ok := n.find(key)
		if ok {
			n.vals[i] = value
		} else {
			n.keys = slices.Insert(n.keys, i, key)
			n.vals = slices.Insert(n.vals, i, value)
		}
		return n.split(i), nil
	}
	i := n.child(key)
	l, h := n.bounds(i, low, high)
	child, err := t.pin(ctx, &n.kids[i], n.level-1, l, h)
	if err != nil {
		return nil, err
	}
	right, err := t.set(ctx, child, l, h, key, value)
	if err != nil {
		return nil, err
	}
	n.dirty = true
	n.keys[i] = child.keys[0]
	if right == nil {
		return n.split(i), nil
	}
	n.keys = slices.Insert(n.keys, i+1, right.keys[0])
	n.kids = slices.Insert(n.kids, i+1, kid{n: right})
	return n.split(i + 1), nil
}

// split cuts a node that is too long in two, in the middle; at its end where it
// grows there, so that keys that come in order fill their nodes.
func (n *node) split(changed int) *node {
	if len(n.keys) < 2 || n.size() <= NodeBytes && n.keyBytes() <= maxKeyBytes/16 {
		return nil
	}
	if n.level > 0 && len(n.keys) < 4 {
		return nil // with fewer than two kids a half, keys longer than a node would add levels without end
	}
	at := len(n.keys) - 1
	if changed != at {
		at = n.middle()
	}
	right := &node{level: n.level, keys: slices.Clone(n.keys[at:]), dirty: true}
	if n.level > 0 {
		right.kids = slices.Clone(n.kids[at:])
		n.kids = slices.Clip(n.kids[:at])
	} else {
		right.vals = slices.Clone(n.vals[at:])
		n.vals = slices.Clip(n.vals[:at])
	}
	n.keys = slices.Clip(n.keys[:at])
	return right
}

func (n *node) middle() int {
	half, size := n.size()/2, 0
	for i := range n.keys {
		if size += n.entrySize(i); size >= half {
			return max(1, min(i, len(n.keys)-1))
		}
	}
	return len(n.keys) - 1
}

// Delete removes the key, if it is there.
func (t *Tree) Delete(ctx context.Context, key []byte) error {
	if _, ok, err := t.Get(ctx, key); err != nil || !ok {
		return err
	}
	root, err := t.pin(ctx, &t.root, -1, nil, nil)
	if err != nil {
		return err
	}
	if err := t.remove(ctx, root, nil, nil, key); err != nil {
		return err
	}
	for root.level > 0 && len(root.kids) == 1 {
		t.root = root.kids[0]
		if root, err = t.pin(ctx, &t.root, root.level-1, nil, nil); err != nil {
			return err
		}
	}
	if len(root.keys) == 0 {
		t.root = kid{}
	}
	return nil
}

func (t *Tree) remove(ctx context.Context, n *node, low, high, key []byte) error {
	n.dirty = true
	if n.level == 0 {
		i, _ := n.find(key)
		n.keys = slices.Delete(n.keys, i, i+1)
		n.vals = slices.Delete(n.vals, i, i+1)
		return nil
	}
	i := n.child(key)
	l, h := n.bounds(i, low, high)
	child, err := t.pin(ctx, &n.kids[i], n.level-1, l, h)
	if err != nil {
		return err
	}
	if err := t.remove(ctx, child, l, h, key); err != nil {
		return err
	}
	if len(child.keys) == 0 {
		n.keys = slices.Delete(n.keys, i, i+1)
		n.kids = slices.Delete(n.kids, i, i+1)
		return nil
	}
	n.keys[i] = child.keys[0]
	if child.size() >= mergeBytes || len(n.kids) < 2 {
		return nil
	}
	return t.merge(ctx, n, max(i-1, 0), low, high)
}

// merge joins kids i and i+1 if they fit in one node.
func (t *Tree) merge(ctx context.Context, n *node, i int, low, high []byte) error {
	var pair [2]*node
	for j := range pair {
		l, h := n.bounds(i+j, low, high)
		k, err := t.pin(ctx, &n.kids[i+j], n.level-1, l, h)
		if err != nil {
			return err
		}
		pair[j] = k
	}
	left, right := pair[0], pair[1]
	if left.size()+right.size() > NodeBytes {
		return nil
	}
	left.dirty = true
	left.keys = append(left.keys, right.keys...)
	left.vals = append(left.vals, right.vals...)
	left.kids = append(left.kids, right.kids...)
	n.keys = slices.Delete(n.keys, i+1, i+2)
	n.kids = slices.Delete(n.kids, i+1, i+2)
	return nil
}

// Write hands every changed node to put, children first, and returns the root's reference. put
// returns where the node will lie; its digest is filled in. The nodes are let go then.
func (t *Tree) Write(put func(raw []byte) (Ref, error)) (Ref, error) {
	if err := write(&t.root, put); err != nil {
		return Ref{}, err
	}
	return t.root.ref, nil
}

func write(k *kid, put func(raw []byte) (Ref, error)) error {
	n := k.n
	if n == nil {
		return nil
	}
	for i := range n.kids {
		if err := write(&n.kids[i], put); err != nil {
			return err
		}
	}
	k.n = nil
	if !n.dirty {
		return nil
	}
	raw := n.encode()
	if len(raw) > MaxNodeBytes {
		return fmt.Errorf("manifest node of %d bytes is too large", len(raw))
	}
	ref, err := put(raw)
	if err != nil {
		return err
	}
	ref.Length, ref.SHA256 = int64(len(raw)), sha256.Sum256(raw)
	k.ref = ref
	return nil
}
