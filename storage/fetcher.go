package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// coalesceBytes bounds how many bytes of neighbouring frames are read at once.
const coalesceBytes = 1 << 20

// maxBlockBytes bounds a run's index.
const maxBlockBytes = 64 << 20

// fetcher reads the frames of a partition's history one after another.
type fetcher struct {
	s         *Snapshot
	p         segment.Partition
	history   int32
	from, end int64
	skip      func(Run) bool
	// run is the one that is being read, frames are what is left of it.
	run     Run
	frames  []segment.Frame
	aborted []batch.AbortedTxn
	// stored are frames that were read and not asked for yet, compressed as they may be: each is opened when it is, so that small
	// frames that become large ones aren't in memory together.
	stored []storedFrame
	after  int64
}

type storedFrame struct {
	segment.Frame
	raw []byte
}

func newFetcher(s *Snapshot, p segment.Partition, history int32, from, end int64) *fetcher {
	return &fetcher{s: s, p: p, history: history, from: from, end: end, after: from}
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
		var err error
		if len(f.frames) == 0 {
			err = f.nextRun(ctx)
		} else {
			err = f.read(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	fr := f.stored[0]
	f.stored[0] = storedFrame{}
	f.stored = f.stored[1:]
	batches, err := segment.OpenFrame(nil, fr.raw, fr.Frame)
	if err != nil {
		return nil, f.s.objectError(f.run, fr.BaseOffset, fr.EndOffset, &DamageError{Err: err})
	}
	c := &chunk{raw: batches, base: fr.BaseOffset, end: fr.EndOffset, partition: f.p, object: f.run.Object, aborted: f.aborted}
	f.aborted = nil
	return c, nil
}

// nextRun opens the index of the first run that ends behind the last one.
func (f *fetcher) nextRun(ctx context.Context) error {
	r, ok, err := first(f.s.Runs(ctx, f.p, f.history, f.after))
	for err == nil && ok && f.skip != nil && f.skip(r) {
		f.after = r.EndOffset
		r, ok, err = first(f.s.Runs(ctx, f.p, f.history, f.after))
	}
	if err != nil {
		return err
	}
	if !ok || r.BaseOffset >= f.end {
		return io.EOF
	}
	f.run, f.after = r, r.EndOffset
	run, err := f.s.openRun(ctx, r)
	if err != nil {
		return err
	}
	f.frames, f.aborted = run.Frames, run.Aborted
	f.cut()
	return nil
}

func first[T any](seq iter.Seq2[T, error]) (v T, ok bool, err error) {
	for v, err := range seq {
		return v, err == nil, err
	}
	return v, false, nil
}

// cut leaves the frames that are needed: those with offsets in [from, end), and those before them if a
// transaction began there whose end has to be seen.
func (f *fetcher) cut() {
	keep := f.frames[:0:0]
	for _, fr := range f.frames {
		if fr.BaseOffset < f.end && (fr.EndOffset > f.from || f.matters()) {
			keep = append(keep, fr)
		}
	}
	f.frames = keep
}

func (f *fetcher) matters() bool {
	for _, t := range f.aborted {
		if t.FirstOffset < f.from {
			return true
		}
	}
	return false
}

// read fetches the next frame and its neighbours, as far as they are small.
func (f *fetcher) read(ctx context.Context) error {
	head := f.frames[0]
	n, length := 1, int64(head.Length)
	for n < len(f.frames) && f.frames[n].Position == head.Position+length && length+int64(f.frames[n].Length) <= coalesceBytes {
		length += int64(f.frames[n].Length)
		n++
	}
	last := f.frames[n-1]
	raw, err := f.s.a.readExactly(ctx, f.run.Object, head.Position, length)
	if err != nil {
		return f.s.objectError(f.run, head.BaseOffset, last.EndOffset, err)
	}
	for _, fr := range f.frames[:n] {
		f.stored = append(f.stored, storedFrame{fr, raw[fr.Position-head.Position:][:fr.Length]})
	}
	f.frames = f.frames[n:]
	return nil
}

// CheckRun is OpenRun, and checks as well that the run's object has the size that the manifest says: so much of a segment is found
// to be damaged without reading its batches.
func (s *Snapshot) CheckRun(ctx context.Context, r Run) (*segment.Run, error) {
	run, size, err := s.readRun(ctx, r)
	if err != nil {
		return nil, err
	}
	generation, number, _ := s.l.parseSegmentKey(r.Object)
	raw, ok, err := s.tree.Get(ctx, objectKey(generation, number))
	if err != nil {
		return nil, s.manifestError(err)
	}
	o, err := decodeObject(raw)
	if !ok || err != nil {
		return nil, s.objectError(r, r.BaseOffset, r.EndOffset, &DamageError{Err: errors.New("the manifest doesn't name the object")})
	}
	if size != o.Size {
		return nil, s.objectError(r, r.BaseOffset, r.EndOffset, &DamageError{Err: fmt.Errorf("it has %d bytes of %d", size, o.Size)})
	}
	return run, nil
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

// OpenRun reads a run's index: its frames, and the aborted transactions that overlap it. Damage is a *[DamageError].
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
	default:
		return fmt.Errorf("storage: %v at %d: %w", r.Partition, base, err)
	}
	return &DamageError{Object: r.Object, Partition: r.Partition, BaseOffset: base, EndOffset: end, Err: err}
}
