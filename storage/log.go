package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

// head reads the newest entry of a lineage's log, or nil where there is none. Directories are
// listed level by level; entries behind the last one listed are looked for by name, should a
// listing be old.
func (a *Archive) head(ctx context.Context, l Lineage) (*entry, error) {
	sequence, err := a.listHead(ctx, l)
	if err != nil {
		return nil, err
	}
	var head *entry
	if sequence > 0 {
		if head, err = a.readEntry(ctx, l, sequence, true); err != nil {
			return nil, err
		}
	}
	for {
		e, err := a.readEntry(ctx, l, sequence+1, false)
		if isAbsent(err) {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		head, sequence = e, sequence+1
	}
}

// logLevels are the groups of digits in an entry's key.
const logLevels = sequenceDigit / 3

// listHead is the highest sequence number that is listed, or 0.
func (a *Archive) listHead(ctx context.Context, l Lineage) (int64, error) {
	return a.lastBelow(ctx, l.logPrefix(), 0, 0)
}

// lastBelow is the highest sequence number below a prefix that holds the given groups of digits, or
// 0. A directory without entries (a "folder" that somebody made, or one that was emptied) doesn't
// hide those before it.
func (a *Archive) lastBelow(ctx context.Context, prefix string, groups int, number int64) (int64, error) {
	var names []int64
	for o, err := range a.list(ctx, prefix, "/") {
		if err != nil {
			return 0, err
		}
		name := strings.TrimSuffix(o.Key[len(prefix):], "/")
		if n, ok := parseDigits(name); ok && len(name) == 3 && o.IsDir == (groups < logLevels-1) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range slices.Backward(names) {
		sequence := number*1000 + n
		if groups == logLevels-1 {
			return sequence, nil
		}
		if last, err := a.lastBelow(ctx, fmt.Sprintf("%s%03d/", prefix, n), groups+1, sequence); err != nil || last > 0 {
			return last, err
		}
	}
	return 0, nil // nothing was written, or it was deleted between two listings
}

const tailBytes = blockBytes

// readEntry reads and checks the record of a log entry. One that isn't there is an error that
// matches storeop.ErrAbsent; must says that it has to be. Damage is read twice before it is told.
func (a *Archive) readEntry(ctx context.Context, l Lineage, sequence int64, must bool) (*entry, error) {
	e, err := a.readEntryOnce(ctx, l, sequence, must)
	var damage *DamageError
	if errors.As(err, &damage) {
		return a.readEntryOnce(ctx, l, sequence, must)
	}
	return e, err
}

func (a *Archive) readEntryOnce(ctx context.Context, l Lineage, sequence int64, must bool) (*entry, error) {
	key := l.logKey(sequence)
	raw, size, err := a.readRange(ctx, key, must, 0, tailBytes)
	if err != nil {
		return nil, err
	}
	a.cache.renew(key, raw)
	if size > int64(len(raw)) {
		if raw, err = a.readExactly(ctx, key, max(0, size-tailBytes), min(size, tailBytes)); err != nil {
			return nil, a.entryError(key, err)
		}
	}
	e, need, err := parseTail(raw)
	if errors.Is(err, errShortTail) && int64(need) <= size {
		if raw, err = a.readExactly(ctx, key, size-int64(need), int64(need)); err == nil {
			e, _, err = parseTail(raw)
		}
	}
	if err == nil && (e.Sequence != sequence || e.ClusterID != l.ClusterID) {
		err = fmt.Errorf("%w: it is entry %d of cluster %s", wire.ErrMalformed, e.Sequence, e.ClusterID)
	}
	if err == nil && size == int64(len(raw)) {
		_, err = checkWhole(raw)
	}
	if err != nil {
		return nil, a.entryError(key, err)
	}
	return e, nil
}

// entryError makes errors of an entry's bytes a DamageError; those of the store stay.
func (a *Archive) entryError(key string, err error) error {
	var version *VersionError
	if errors.As(err, &version) {
		version.Object = key
		return version
	}
	if errors.Is(err, wire.ErrMalformed) || errors.Is(err, errTruncated) || errors.Is(err, errShortTail) {
		return &DamageError{Object: key, Err: err}
	}
	return err
}

// missingEntry is a DamageError if the log goes on behind an entry that isn't there.
func (a *Archive) missingEntry(ctx context.Context, l Lineage, sequence int64) error {
	head, err := a.listHead(ctx, l)
	if err != nil || sequence >= head {
		return err
	}
	return &DamageError{Object: l.logKey(sequence), Err: errMissing}
}

var errMissing = errors.New("object is missing")

// commitAt is the newest commit, or the newest complete one, up to and including head; nil if there
// is none.
func (a *Archive) commitAt(ctx context.Context, l Lineage, head *entry, complete bool) (*entry, error) {
	if head.Kind == kindCommit && (!complete || head.Info.Complete) {
		return head, nil
	}
	ref := head.Commit
	if complete {
		ref = head.Complete
	}
	if ref.Sequence == 0 {
		return nil, nil
	}
	e, err := a.readEntry(ctx, l, ref.Sequence, true)
	if isAbsent(err) {
		return nil, &DamageError{Object: l.logKey(ref.Sequence), Err: errMissing}
	}
	if err != nil {
		return nil, err
	}
	if e.SHA256 != ref.SHA256 || e.Kind != kindCommit || complete && !e.Info.Complete {
		return nil, &DamageError{Object: l.logKey(ref.Sequence), Err: errors.New("not the commit that later entries name")}
	}
	return e, nil
}

// next is the record of the entry behind head, which is nil in a new lineage.
func nextRecord(l Lineage, head *entry) record {
	r := record{ClusterID: l.ClusterID, Sequence: 1}
	if head == nil {
		return r
	}
	r.Sequence, r.Previous = head.Sequence+1, head.SHA256
	r.Commit, r.Complete = head.Commit, head.Complete
	self := entryRef{Sequence: head.Sequence, SHA256: head.SHA256}
	if head.Kind == kindCommit {
		r.Commit = self
		if head.Info.Complete {
			r.Complete = self
		}
	}
	return r
}

// appendEntry creates the object of an entry. Where another is there, that one is returned with
// errConflict.
func (a *Archive) appendEntry(ctx context.Context, l Lineage, sequence int64, object []byte, digest [32]byte) (other *entry, err error) {
	err = a.create(ctx, l.logKey(sequence), object, func(ctx context.Context) (bool, error) {
		e, err := a.readEntry(ctx, l, sequence, false)
		if err != nil {
			return false, err
		}
		other = e
		return e.SHA256 == digest, nil
	})
	return other, err
}
