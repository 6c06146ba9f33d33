package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// Errors that callers act on.
var (
	// ErrNotCreateOnly: the store overwrites an object that was to be created only.
	ErrNotCreateOnly = errors.New("storage: the store ignores create-only writes")
	// ErrNoArchive: the bucket has no format marker, and isn't one to start an archive in.
	ErrNoArchive = errors.New("storage: the bucket holds no archive")
	// ErrFenced: another writer has claimed the lineage. The error is a *FencedError.
	ErrFenced = errors.New("storage: fenced by a newer writer")
	// ErrNoSnapshot: no such snapshot, or none yet.
	ErrNoSnapshot = errors.New("storage: no such snapshot")
	// ErrReadOnly: the archive was opened read-only.
	ErrReadOnly = errors.New("storage: the archive is read-only")
)

// FencedError says who took the lineage over.
type FencedError struct {
	ClusterID string
	// Owner and Kind are the claim's, At is when it was made by its owner's clock.
	Owner, Kind string
	At          time.Time
}

func (e *FencedError) Error() string {
	return fmt.Sprintf("storage: fenced: %s (%s) took over cluster %s at %s", e.Owner, e.Kind, e.ClusterID, e.At.Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrFenced) true.
func (e *FencedError) Is(target error) bool { return target == ErrFenced }

// DamageError is an object that is missing, or whose bytes are not those that were written.
type DamageError struct {
	// Object is the object's key.
	Object string
	// Partition and the offsets, half-open, say what can't be read; they are zero
	// where the damage is not of one partition.
	Partition             segment.Partition
	BaseOffset, EndOffset int64
	// Err says what is wrong.
	Err error
}

func (e *DamageError) Error() string {
	if e.EndOffset > e.BaseOffset {
		return fmt.Sprintf("storage: %v at %d to %d: object %s is damaged: %v", e.Partition, e.BaseOffset, e.EndOffset, e.Object, e.Err)
	}
	return fmt.Sprintf("storage: object %s is damaged: %v", e.Object, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// UnreadableError is an object that the store refuses to give: for want of rights, or because
// something holds it. It isn't damage: the object may be whole, and is read once the store gives
// it.
type UnreadableError struct {
	// Object is the object's key.
	Object string
	// Partition and the offsets are as a DamageError's.
	Partition             segment.Partition
	BaseOffset, EndOffset int64
	// Err is the store's.
	Err error
}

func (e *UnreadableError) Error() string {
	if e.EndOffset > e.BaseOffset {
		return fmt.Sprintf("storage: %v at %d to %d: object %s can't be read: %v", e.Partition, e.BaseOffset, e.EndOffset, e.Object, e.Err)
	}
	return fmt.Sprintf("storage: object %s can't be read: %v", e.Object, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// VersionError is an object of a format version that this package doesn't know.
type VersionError struct {
	// Object is the object's key.
	Object  string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("storage: object %s has format version %d; this is a reader of version %d", e.Object, e.Version, entryVersion)
}

// LineageError says that the archive holds more than one cluster, and none was named.
type LineageError struct {
	Lineages []Lineage
}

func (e *LineageError) Error() string {
	s := fmt.Sprintf("storage: the archive holds %d clusters, name one of:", len(e.Lineages))
	for _, l := range e.Lineages {
		s += " " + l.ClusterID
	}
	return s
}

// ChangeError is a Change that doesn't fit the state it would be added to. Nothing was written.
type ChangeError struct {
	// Partition and Offset say where; Partition is zero where it isn't of one partition.
	Partition segment.Partition
	Offset    int64
	Reason    string
}

func (e *ChangeError) Error() string {
	if e.Partition == (segment.Partition{}) {
		return "storage: commit: " + e.Reason
	}
	return fmt.Sprintf("storage: %v at %d: commit: %s", e.Partition, e.Offset, e.Reason)
}

func sortLineages(ls []Lineage) {
	slices.SortFunc(ls, func(a, b Lineage) int { return cmp.Compare(a.ClusterID, b.ClusterID) })
}
