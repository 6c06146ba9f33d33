package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// NewLineage starts a lineage whose first commit is its own claim, so that three objects make an
// archive: format marker, segment, log entry. The same input gives the same bytes: at is every time
// in it, and nonces are made from it. It is for archives that are made in one go, such as test
// data. Where the lineage is there already, Commit fails with a *[FencedError].
func (a *Archive) NewLineage(l Lineage, cfg WriterConfig, at time.Time) (*Writer, error) {
	if a.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	return &Writer{a: a, l: l, cfg: cfg, generation: 1, fixed: at.UTC(), undecided: map[[32]byte]bool{}}, nil
}

// stamp makes a record a function of the writer's fixed time and its place.
func (w *Writer) stamp(r *record) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(w.l.ClusterID+w.fixed.Format(time.RFC3339Nano)), uint64(r.Sequence)))
	r.At = w.fixed
	copy(r.Nonce[:], sum[:])
}
