package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

const (
	// coalesceBytes bounds the frames that are read at once: neighbours in one object by one
	// operation, those of several runs side by side.
	coalesceBytes = 1 << 20
	// indexBytes bounds the indexes that are read at once.
	indexBytes = 1 << 20
	// maxBlockBytes bounds a run's index.
	maxBlockBytes = 64 << 20
)

// fetcher reads the frames of a partition's history one after another.
type fetcher struct {
	s         *Snapshot
	p         segment.Partition
	history   int32
	from, end int64
	skip      func(Run) bool
	// opened are runs in order whose frames weren't all read; those up to the offset after were
	// opened, width at once the next time.
	opened []*openedRun
	after  int64
	width  int
	// stored are frames that were read and not asked for yet, compressed as they may be: each is
	// opened when it is, so that small frames that become large ones aren't in memory together.
	stored []storedFrame
}

// openedRun is a run with the frames that are left of it, or why its index can't be read.
type openedRun struct {
	run     Run
	frames  []segment.Frame
	aborted []batch.AbortedTxn
	err     error
}

// storedFrame is a frame of a run, or why it can't be read.
type storedFrame struct {
	segment.Frame
	run     Run
	raw     []byte
	aborted []batch.AbortedTxn
	err     error
}

func newFetcher(s *Snapshot, p segment.Partition, history int32, from, end int64) *fetcher {
	return &fetcher{s: s, p: p, history: history, from: from, end: end, after: from, width: 1}
}

// chunk is a frame's batches.
type chunk struct {
	raw       []byte
	base, end int64
	partition segment.Partition
	object    string
	// aborted are the transactions of a run that begins here.
	aborted []batch.AbortedTxn
}

func (c *chunk) release() { c.raw = nil }

func (c *chunk) damage(err error) error {
	return &DamageError{Object: c.object, Partition: c.partition, BaseOffset: c.base, EndOffset: c.end, Err: err}
}

// next returns the next frame, or io.EOF.
func (f *fetcher) next(ctx context.Context) (*chunk, error) {
	for len(f.stored) == 0 {
		if len(f.opened) == 0 {
			if err := f.open(ctx); err != nil {
				return nil, err
			}
		}
		f.read(ctx)
	}
	fr := f.stored[0]
	f.stored[0] = storedFrame{}
	f.stored = f.stored[1:]
	if fr.err != nil {
		return nil, fr.err
	}
	batches, err := segment.OpenFrame(nil, fr.raw, fr.Frame)
	if err != nil {
		return nil, f.s.objectError(fr.run, fr.BaseOffset, fr.EndOffset, &DamageError{Err: err})
	}
	return &chunk{raw: batches, base: fr.BaseOffset, end: fr.EndOffset, partition: f.p, object: fr.run.Object, aborted: fr.aborted}, nil
}

// open reads the indexes of the next runs side by side: of one at first, then of twice as many each
// time.
func (f *fetcher) open(ctx context.Context) error {
	var runs []Run
	size := int64(0)
	for r, err := range f.s.Runs(ctx, f.p, f.history, f.after) {
		if f.skipsLost(err) {
			continue
		}
		if lost, ok := LostRuns(err); ok && lost.BaseOffset >= f.end {
			break
		}
		if err != nil && len(runs) == 0 {
			return err
		}
		if err != nil || r.BaseOffset >= f.end || len(runs) == f.width {
			break
		}
		if f.skip != nil && f.skip(r) {
			f.after = r.EndOffset
			continue
		}
		if size += int64(r.Block.Length); size > indexBytes && len(runs) > 0 {
			break
		}
		runs, f.after = append(runs, r), r.EndOffset
	}
	if len(runs) == 0 {
		return io.EOF
	}
	f.width = min(2*f.width, readsAhead)
	f.opened = sideBySide(ctx, f.s.a, runs, f.openRun)
	return nil
}

// skipsLost says of runs that the manifest lost, which are asked about as one, whether they are
// passed over.
func (f *fetcher) skipsLost(err error) bool {
	r, ok := LostRuns(err)
	r.History = f.history
	return ok && f.skip != nil && f.skip(r)
}

func (f *fetcher) openRun(ctx context.Context, r Run) *openedRun {
	run, err := f.s.openRun(ctx, r)
	if err != nil {
		return &openedRun{run: r, err: err}
	}
	return &openedRun{run: r, frames: f.cut(run.Frames, run.Aborted), aborted: run.Aborted}
}

// cut leaves the frames that are needed: those with offsets in [from, end), and those before them
// if a transaction began there whose end has to be seen.
func (f *fetcher) cut(frames []segment.Frame, aborted []batch.AbortedTxn) []segment.Frame {
	keep := frames[:0:0]
	for _, fr := range frames {
		if fr.BaseOffset < f.end && (fr.EndOffset > f.from || f.matters(aborted)) {
			keep = append(keep, fr)
		}
	}
	return keep
}

func (f *fetcher) matters(aborted []batch.AbortedTxn) bool {
	return slices.ContainsFunc(aborted, func(t batch.AbortedTxn) bool { return t.FirstOffset < f.from })
}

// piece is neighbouring frames of a run, which one operation reads; or none, and why.
type piece struct {
	run     Run
	frames  []segment.Frame
	length  int64
	aborted []batch.AbortedTxn
	err     error
}

// read fetches the next frames side by side, as far as they are small.
func (f *fetcher) read(ctx context.Context) {
	for _, stored := range sideBySide(ctx, f.s.a, f.pieces(), f.readPiece) {
		f.stored = append(f.stored, stored...)
	}
}

// pieces takes the next frames of the opened runs. Behind a run that can't be read nothing is.
func (f *fetcher) pieces() (pieces []piece) {
	size := int64(0)
	for len(f.opened) > 0 && len(pieces) < readsAhead {
		o := f.opened[0]
		switch {
		case o.err != nil:
			f.opened = nil
			return append(pieces, piece{run: o.run, err: o.err})
		case len(o.frames) == 0:
			f.opened = f.opened[1:]
			continue
		}
		head := o.frames[0]
		if size += int64(head.Length); size > coalesceBytes && len(pieces) > 0 {
			return pieces
		}
		n, length := 1, int64(head.Length)
		for n < len(o.frames) && o.frames[n].Position == head.Position+length && size+int64(o.frames[n].Length) <= coalesceBytes {
			length += int64(o.frames[n].Length)
			size += int64(o.frames[n].Length)
			n++
		}
		pieces = append(pieces, piece{run: o.run, frames: o.frames[:n], length: length, aborted: o.aborted})
		o.frames, o.aborted = o.frames[n:], nil
	}
	return pieces
}

func (f *fetcher) readPiece(ctx context.Context, p piece) []storedFrame {
	if p.err != nil {
		return []storedFrame{{run: p.run, err: p.err}}
	}
	head, last := p.frames[0], p.frames[len(p.frames)-1]
	raw, err := f.s.a.readExactly(ctx, p.run.Object, head.Position, p.length)
	if err != nil {
		return []storedFrame{{run: p.run, err: f.s.objectError(p.run, head.BaseOffset, last.EndOffset, err)}}
	}
	stored := make([]storedFrame, len(p.frames))
	for i, fr := range p.frames {
		stored[i] = storedFrame{Frame: fr, run: p.run, raw: raw[fr.Position-head.Position:][:fr.Length]}
	}
	stored[0].aborted = p.aborted
	return stored
}

// openRun reads a run's index and checks that it is the one the manifest means.
func (s *Snapshot) openRun(ctx context.Context, r Run) (*segment.Run, error) {
	run, _, err := s.readRun(ctx, r)
	return run, err
}

// readRun returns the object's size as well.
func (s *Snapshot) readRun(ctx context.Context, r Run) (*segment.Run, int64, error) {
	fail := func(err error) (*segment.Run, int64, error) {
		return nil, 0, s.objectError(r, r.BaseOffset, r.EndOffset, err)
	}
	if r.Block.Length > maxBlockBytes {
		return fail(&DamageError{Err: fmt.Errorf("an index of %d bytes", r.Block.Length)})
	}
	raw, size, err := s.a.readRange(ctx, r.Object, true, r.Block.Position, int64(r.Block.Length))
	if err == nil && len(raw) < int(r.Block.Length) {
		err = fmt.Errorf("%w: %d bytes long, bytes to %d are missing", errTruncated, size, r.Block.Position+int64(r.Block.Length))
	}
	if err != nil {
		return fail(err)
	}
	run, err := segment.ParseRun(raw, r.Block)
	if err != nil {
		return fail(&DamageError{Err: err})
	}
	if run.Partition != r.Partition || run.BaseOffset != r.BaseOffset || run.EndOffset != r.EndOffset {
		return fail(&DamageError{Err: fmt.Errorf("the index is of %v, %d to %d", run.Partition, run.BaseOffset, run.EndOffset)})
	}
	return run, size, nil
}

// OpenRun reads a run's index: its frames, and the aborted transactions that overlap it. Damage is
// a *[DamageError].
func (s *Snapshot) OpenRun(ctx context.Context, r Run) (*segment.Run, error) {
	return s.openRun(ctx, r)
}

// objectError gives an error of a segment's bytes its place.
func (s *Snapshot) objectError(r Run, base, end int64, err error) error {
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		err = damage.Err
	case isAbsent(err):
		err = errMissing
	case errors.Is(err, errTruncated):
	case s.a.refuses(err):
		return &UnreadableError{Object: r.Object, Partition: r.Partition, BaseOffset: base, EndOffset: end, Err: err}
	default:
		return fmt.Errorf("storage: %v at %d: %w", r.Partition, base, err)
	}
	return &DamageError{Object: r.Object, Partition: r.Partition, BaseOffset: base, EndOffset: end, Err: err}
}
