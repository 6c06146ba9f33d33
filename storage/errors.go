package storage

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers act on.
var (
	// ErrNotCreateOnly: the store overwrites an object that was to be created only.
	ErrNotCreateOnly = errors.New("storage: the store ignores create-only writes")
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
