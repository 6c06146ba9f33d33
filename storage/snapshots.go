package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Snapshots yields the full snapshots of a lineage, oldest first; the last one may be a flush
// (Info.Flush), where a follower committed data after its last full snapshot.
//
// Where the log's newest entry is damaged or lost, the snapshots before it are listed all the same,
// as the newest commit that can be read has them, and the sequence ends with the *[DamageError] (a
// *[VersionError] for an entry of another format). Only without an error is the list all there is.
func (a *Archive) Snapshots(ctx context.Context, l Lineage) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		li := &lister{yield: yield}
		s, fault := a.newest(ctx, l, false)
		if errors.Is(fault, ErrNoSnapshot) {
			return
		}
		if fault == nil {
			fault = li.list(ctx, s)
		}
		below, err := int64(maxSequence), fault
		for isSpoilt(err) {
			if s != nil {
				below = s.info.Sequence - 1
			}
			if s, err = a.commitBelow(ctx, l, below); s != nil {
				err = li.list(ctx, s)
			}
		}
		if err != nil {
			fault = err // the store's: there is no more to be read
		}
		if fault != nil && !li.stopped {
			yield(Info{}, fmt.Errorf("storage: snapshots: %w", fault))
		}
	}
}

// lister yields summaries, each once.
type lister struct {
	yield   func(Info, error) bool
	last    int64
	stopped bool
}

// list yields what the snapshot's manifest lists behind the last one that was yielded.
func (li *lister) list(ctx context.Context, s *Snapshot) error {
	for it, err := range s.tree.Scan(ctx, summaryKey(li.last+1), after([]byte{'s'})) {
		var info Info
		if err == nil {
			info, err = decodeSummary(s.l, it.Key, it.Value)
		}
		if err != nil {
			return s.manifestError(err)
		}
		if !li.yield(info, nil) {
			li.stopped = true
			return nil
		}
		li.last = info.Sequence
	}
	if s.info.Flush {
		li.stopped = !li.yield(s.info, nil)
	}
	return nil
}

// isSpoilt says whether what was read isn't what this package wrote.
func isSpoilt(err error) bool {
	var damage *DamageError
	var version *VersionError
	return errors.As(err, &damage) || errors.As(err, &version)
}

// commitBelow is the newest commit up to a number whose entry can be read, complete or not; nil if
// there is none.
func (a *Archive) commitBelow(ctx context.Context, l Lineage, sequence int64) (*Snapshot, error) {
	last, err := a.listHead(ctx, l)
	if err != nil {
		return nil, err
	}
	for sequence = min(sequence, last); sequence > 0; {
		e, err := a.readEntry(ctx, l, sequence, true)
		switch {
		case isAbsent(err), isSpoilt(err):
			sequence--
		case err != nil:
			return nil, err
		case e.Kind == kindCommit:
			return a.snapshot(l, e), nil
		default:
			sequence = e.Commit.Sequence
		}
	}
	return nil, nil
}
