package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

const (
	maxHoles    = 1 << 16
	maxEvidence = 1 << 10
)

// uncovered is the first offset of [from, to) that no hole has, or -1.
func uncovered(holes []Hole, from, to int64) int64 {
	for _, h := range holes {
		if from >= to || h.BaseOffset > from {
			break
		}
		from = max(from, h.EndOffset)
	}
	if from < to {
		return from
	}
	return -1
}

func checkHoles(st *state, holes []Hole) error {
	if len(holes) > maxHoles {
		return &ChangeError{Partition: st.Partition, Reason: fmt.Sprintf("%d holes; %d are allowed", len(holes), maxHoles)}
	}
	var end int64
	for _, h := range holes {
		if h.BaseOffset < end || h.EndOffset <= h.BaseOffset || len(h.Evidence) > maxEvidence || len(h.Reason) > maxEvidence {
			return &ChangeError{Partition: st.Partition, Offset: h.BaseOffset, Reason: "a hole that is empty, overlaps the one before or says too much"}
		}
		end = h.EndOffset
	}
	return nil
}

// holes stores the holes, if they aren't those that are stored. Holes above the start offset never
// go away.
func (b *builder) holes(ctx context.Context, st *state, holes []Hole) error {
	digest := holeDigest(holes)
	if st.HoleCount == int64(len(holes)) && st.HoleDigest == digest {
		return nil
	}
	st.HoleCount, st.HoleDigest = int64(len(holes)), digest
	bases := make(map[int64]bool, len(holes))
	for _, h := range holes {
		bases[h.BaseOffset] = true
	}
	var gone [][]byte
	prefix := holesKey(st.Partition, st.History)
	for it, err := range b.t.Scan(ctx, prefix, after(prefix)) {
		if err != nil {
			return err
		}
		old, err := decodeHole(it.Key, it.Value)
		if err != nil {
			return err
		}
		if at := uncovered(holes, max(old.BaseOffset, st.StartOffset), old.EndOffset); at >= 0 {
			return &ChangeError{Partition: st.Partition, Offset: at, Reason: "a hole that was recorded is gone"}
		}
		if !bases[old.BaseOffset] {
			gone = append(gone, bytes.Clone(it.Key))
		}
	}
	for _, key := range gone {
		if err := b.t.Delete(ctx, key); err != nil {
			return err
		}
	}
	for _, h := range holes {
		if err := b.t.Set(ctx, holeKey(st.Partition, st.History, h.BaseOffset), encodeHole(h)); err != nil {
			return err
		}
	}
	return nil
}

func holeDigest(holes []Hole) (digest [8]byte) {
	if len(holes) == 0 {
		return digest
	}
	var e wire.Encoder
	for _, h := range holes {
		e.Uvarint(uint64(h.BaseOffset))
		e.Bytes(encodeHole(h))
	}
	sum := sha256.Sum256(e.B)
	copy(digest[:], sum[:])
	return digest
}
