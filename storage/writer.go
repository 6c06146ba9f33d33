package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// Writer is the one writer of a lineage, until another claims it. Its methods aren't safe for
// concurrent use, except that segments can be written while others are. It holds nothing that has
// to be closed or cleaned up.
type Writer struct {
	a   *Archive
	l   Lineage
	cfg WriterConfig
	// generation is the sequence number of the claim.
	generation int64
	segments   atomic.Int64
	// head is the entry that the next one follows, base the commit it builds on, if there is one.
	head *entry
	base *entry
	// undecided are the digests of entries whose writing failed, perhaps after its effect.
	undecided map[[32]byte]bool
	fenced    *FencedError
	// fixed is the time that NewLineage was given; zero elsewhere.
	fixed time.Time
}

// WriterConfig says who writes.
type WriterConfig struct {
	// Owner names the writer in errors of those it fences. Default: host name and process ID.
	Owner string
	// Kind is what the claim is for: backup, follow, sweep. Default backup.
	Kind string
	// Segment are the options of new segments.
	Segment segment.Options
	// UploadBytes is the size of the parts in which a store that takes parts is sent a segment, in
	// bytes. Default 8 MiB.
	UploadBytes int
	// UploadParts is how many parts of one segment may be under way; so many and one more are in
	// memory. Default 2.
	UploadParts int
}

const maxOwner = 256

func (c *WriterConfig) setDefaults() {
	if c.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		c.Owner = fmt.Sprintf("%s, process %d", host, os.Getpid())
	}
	c.Owner = c.Owner[:min(len(c.Owner), maxOwner)]
	if c.Kind == "" {
		c.Kind = "backup"
	}
	c.Kind = c.Kind[:min(len(c.Kind), maxOwner)]
	if c.UploadBytes <= 0 {
		c.UploadBytes = 8 << 20
	}
	if c.UploadParts <= 0 {
		c.UploadParts = 2
	}
}

// NewWriter claims the next generation of the lineage: every older writer gets a *[FencedError] at
// its next Commit. It never builds on an older commit than the newest: where that, or the log's
// last entry, is damaged, the error is a *[DamageError], nothing is written, and the text says how
// to go on.
func (a *Archive) NewWriter(ctx context.Context, l Lineage, cfg WriterConfig) (*Writer, error) {
	if a.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	w := &Writer{a: a, l: l, cfg: cfg, undecided: map[[32]byte]bool{}}
	if err := w.claim(ctx); err != nil {
		return nil, fmt.Errorf("storage: claim: %w", wayOn(err))
	}
	if err := w.passLeavings(ctx); err != nil {
		return nil, fmt.Errorf("storage: claim: %w", err)
	}
	return w, nil
}

// wayOn adds to damage of the log's end what an operator can do.
func wayOn(err error) error {
	var damage *DamageError
	if !errors.As(err, &damage) {
		return err
	}
	return fmt.Errorf("%w; no writer builds on it: stop all writers of the cluster, move this entry and all later ones out of the archive, and back up again", err)
}

// passLeavings numbers segments behind those of an earlier claim of the same number, whose entry
// was moved away.
func (w *Writer) passLeavings(ctx context.Context) error {
	for o, err := range w.a.list(ctx, fmt.Sprintf("%s%012d-", w.l.segmentPrefix(), w.generation), "") {
		if err != nil {
			return err
		}
		if _, number, ok := w.l.parseSegmentKey(o.Key); ok {
			w.segments.Store(max(w.segments.Load(), number))
		}
	}
	return nil
}

// claim writes a claim behind the newest entry, until nobody else was faster.
func (w *Writer) claim(ctx context.Context) error {
	head, err := w.a.head(ctx, w.l)
	if err != nil {
		return err
	}
	for {
		if head != nil {
			if w.base, err = w.a.commitAt(ctx, w.l, head, false); err != nil {
				return err // before a claim that would only lengthen the log
			}
		}
		r := w.record(head, kindClaim)
		r.Generation = r.Sequence
		object, digest := r.seal([]byte(entryHeader))
		other, err := w.a.appendEntry(ctx, w.l, r.Sequence, object, digest)
		if errors.Is(err, errConflict) {
			head = other
			continue
		}
		if err != nil {
			return err
		}
		w.generation, w.head = r.Sequence, other
		return nil
	}
}

// record is the next one, of this writer.
func (w *Writer) record(head *entry, kind entryKind) record {
	r := nextRecord(w.l, head)
	r.Kind, r.Generation = kind, w.generation
	r.Owner, r.WriterKind, r.At = w.cfg.Owner, w.cfg.Kind, time.Now().UTC()
	_, _ = rand.Read(r.Nonce[:]) // never fails
	if !w.fixed.IsZero() {
		w.stamp(&r)
	}
	return r
}

// Snapshot is the state that the next commit builds on; nil in a new lineage.
func (w *Writer) Snapshot() *Snapshot {
	if w.base == nil {
		return nil
	}
	return w.a.snapshot(w.l, w.base)
}

// Change is what a commit adds to the state before it.
type Change struct {
	// CreatedAt is the time of the cut. Required.
	CreatedAt time.Time
	// Flush commits data alone: no groups, no cluster. New topics may come with their data.
	Flush bool
	// Segments are the closed segments to name, of this writer; each run joins the newest history
	// that Partitions names for its partition. Segments that are named already are skipped, so that
	// a Change whose Commit failed can be committed again, with more in it.
	Segments []*Closed
	// Partitions are the states that changed: identity, History, StartOffset, EndOffset,
	// FirstOffset, LeaderEpoch, Holes, Fault and Truncated are taken; counts are kept by Commit
	// from the runs. A new history has the number after the newest one. StartOffset and EndOffset
	// never go back; EndOffset may lie inside the last run's last batch. Runs that lie wholly below
	// StartOffset leave the snapshot.
	Partitions []PartitionState
	// Topics are new and changed ones. A partition's topic must be here or known.
	Topics []Topic
	// Groups replaces all groups, where not nil. Full snapshots only.
	Groups []Group
	// Cluster replaces the cluster's data, where not nil. Full snapshots only.
	Cluster *Cluster
	// Incomplete marks the snapshot.
	Incomplete bool
}

// Commit writes the manifest, create-only and last. Before anything is written it checks that every
// run chains: it begins at or beyond the end of its history, and every offset in between is in a
// hole; a Change that doesn't fit is a *[ChangeError]. It fails with a *[FencedError] (errors.Is
// [ErrFenced]) when another writer has claimed the lineage, now and ever after. A failed Commit
// commits nothing that a reader sees, or, if the store says failure after success, is found to have
// succeeded: by Commit itself or, where the store stays away, by the next one.
func (w *Writer) Commit(ctx context.Context, c Change) (Info, error) {
	if w.fenced != nil {
		return Info{}, w.fenced
	}
	for {
		object, r, digest, err := w.build(ctx, &c)
		if err != nil {
			return Info{}, err
		}
		other, err := w.a.appendEntry(ctx, w.l, r.Sequence, object, digest)
		switch {
		case err == nil:
			w.adopt(other)
			if !c.Flush && w.fixed.IsZero() { // one object fewer where NewLineage was asked for few
				w.a.witness(ctx, w.l, &other.record)
			}
			return other.Info, nil
		case !errors.Is(err, errConflict):
			w.undecided[digest] = true
			return Info{}, fmt.Errorf("storage: commit: %w", err)
		case w.undecided[other.SHA256]:
			w.adopt(other) // an earlier Commit of ours succeeded after all: build on it
		default:
			w.fenced = fencedBy(other)
			return Info{}, w.fenced
		}
	}
}

func fencedBy(e *entry) *FencedError {
	return &FencedError{ClusterID: e.ClusterID, Owner: e.Owner, Kind: e.WriterKind, At: e.At}
}

func (w *Writer) adopt(e *entry) {
	w.head, w.base = e, e
	clear(w.undecided)
}

// build makes the entry's object that adds c to the base.
func (w *Writer) build(ctx context.Context, c *Change) ([]byte, *record, [32]byte, error) {
	r := w.record(w.head, kindCommit)
	b := newBuilder(w, r.Sequence)
	object, err := b.build(ctx, c, &r)
	if err != nil {
		var change *ChangeError
		if errors.As(err, &change) {
			return nil, nil, [32]byte{}, change
		}
		return nil, nil, [32]byte{}, b.base.manifestError(err)
	}
	object, digest := r.seal(object)
	return object, &r, digest, nil
}
