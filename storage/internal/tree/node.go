package tree

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

const (
	// NodeBytes is where a node is split, in encoded bytes.
	NodeBytes = 1 << 10
	// MaxNodeBytes bounds a node that a single entry makes large.
	MaxNodeBytes = 16 << 20

	mergeBytes = NodeBytes / 4
	maxLevel   = 30

	// What a node may become in memory: keys share prefixes, so they can be far longer than their
	// bytes. A node is split at 1 KiB, so that it has some hundred entries at most.
	maxEntries   = 4096
	maxKeyBytes  = 4 << 20
	maxPathBytes = 40 << 20
	entryBytes   = 64 // of slices, about
)

// DamageError is a node that isn't what was written.
type DamageError struct {
	Ref Ref
	Err error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("manifest node at byte %d: %v", e.Ref.Position, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// LostError is what hangs on a node that can't be read: the keys from Low on and below High, nil
// being no bound.
type LostError struct {
	Low, High []byte
	Err       error
}

func (e *LostError) Error() string { return e.Err.Error() }

func (e *LostError) Unwrap() error { return e.Err }

var (
	errDigest = errors.New("digest mismatch")
	errKeys   = errors.New("keys of another node")
	errLevel  = errors.New("node of another level")
	errLarge  = errors.New("keys or nodes of more bytes than a manifest has")
)

// Ref says where a node lies, and its digest. The zero Ref is the empty map.
type Ref struct {
	// Entry is the log entry that holds the node; Position and Length say where in it.
	Entry    int64
	Position int64
	Length   int64
	SHA256   [32]byte
}

// IsZero says whether r is the empty map's.
func (r Ref) IsZero() bool { return r.Length == 0 }

// Encode appends r.
func (r Ref) Encode(e *wire.Encoder) {
	e.Uvarint(uint64(r.Entry))
	e.Uvarint(uint64(r.Position))
	e.Uvarint(uint64(r.Length))
	e.Raw(r.SHA256[:])
}

// DecodeRef takes a Ref.
func DecodeRef(d *wire.Decoder) Ref {
	return Ref{Entry: d.Int(1 << 50), Position: d.Int(1 << 50), Length: d.Int(MaxNodeBytes), SHA256: d.Digest()}
}

func (r Ref) before(o Ref) bool {
	return r.Entry < o.Entry || r.Entry == o.Entry && r.Position+r.Length <= o.Position
}

// node is decoded. A leaf has vals, an inner node has kids; a kid's key is the
// smallest that it may hold.
type node struct {
	level int
	keys  [][]byte
	vals  [][]byte
	kids  []kid
	dirty bool
	// held is about what a decoded node takes in memory.
	held int
}

type kid struct {
	ref Ref
	n   *node // loaded for a change; nil otherwise
}

const refBytes = 44 // nearly

func (n *node) size() int {
	size := 8
	for i := range n.keys {
		size += n.entrySize(i)
	}
	return size
}

// keyBytes are those of its keys, whole.
func (n *node) keyBytes() (sum int) {
	for _, key := range n.keys {
		sum += len(key)
	}
	return sum
}

func (n *node) entrySize(i int) int {
	shared := 0
	if i > 0 {
		shared = sharedPrefix(n.keys[i-1], n.keys[i])
	}
	size := 2 + len(n.keys[i]) - shared
	if n.level > 0 {
		return size + refBytes
	}
	return size + 2 + len(n.vals[i])
}

func sharedPrefix(a, b []byte) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// encode is: level, count, then per entry the length of the prefix shared with
// the key before, the rest of the key, and the value or the reference.
func (n *node) encode() []byte {
	var e wire.Encoder
	e.Uvarint(uint64(n.level))
	e.Uvarint(uint64(len(n.keys)))
	var last []byte
	for i, key := range n.keys {
		shared := sharedPrefix(last, key)
		e.Uvarint(uint64(shared))
		e.Bytes(key[shared:])
		if n.level > 0 {
			n.kids[i].ref.Encode(&e)
		} else {
			e.Bytes(n.vals[i])
		}
		last = key
	}
	return e.B
}

// decodeNode checks raw against self, and that its keys lie in [low, high).
func decodeNode(raw []byte, self Ref, low, high []byte) (*node, error) {
	if int64(len(raw)) != self.Length || sha256.Sum256(raw) != self.SHA256 {
		return nil, &DamageError{Ref: self, Err: errDigest}
	}
	n, err := parseNode(raw, self)
	if err != nil {
		return nil, &DamageError{Ref: self, Err: err}
	}
	first, last := n.keys[0], n.keys[len(n.keys)-1]
	if bytes.Compare(first, low) < 0 || high != nil && bytes.Compare(last, high) >= 0 {
		return nil, &DamageError{Ref: self, Err: errKeys}
	}
	return n, nil
}

func parseNode(raw []byte, self Ref) (*node, error) {
	d := wire.NewDecoder(raw)
	n := &node{level: int(d.Int(maxLevel))}
	count := d.Count(3)
	if count == 0 {
		d.Fail("empty node")
	}
	if count > maxEntries {
		return nil, errLarge
	}
	var last []byte
	keys := 0
	for i := 0; i < count && d.Err() == nil; i++ {
		last = n.parseEntry(d, self, last, i == 0)
		if keys += len(last); keys > maxKeyBytes {
			return nil, errLarge
		}
	}
	n.held = len(raw) + keys + count*entryBytes
	if err := d.Done(); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *node) parseEntry(d *wire.Decoder, self Ref, last []byte, first bool) []byte {
	shared := d.Int(int64(len(last)))
	rest := d.Bytes()
	key := append(append(make([]byte, 0, int(shared)+len(rest)), last[:shared]...), rest...)
	if !first && bytes.Compare(key, last) <= 0 {
		d.Fail("keys out of order")
	}
	n.keys = append(n.keys, key)
	if n.level == 0 {
		n.vals = append(n.vals, d.Bytes())
		return key
	}
	ref := DecodeRef(d)
	if d.Err() == nil && (ref.IsZero() || !ref.before(self)) {
		d.Fail("reference forwards")
	}
	n.kids = append(n.kids, kid{ref: ref})
	return key
}
