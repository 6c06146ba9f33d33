package segment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Reader reads one segment. Safe for concurrent use if the io.ReaderAt is.
type Reader struct {
	r      io.ReaderAt
	size   int64
	footer footer
	runs   []RunInfo
}

// tailBytes is what Open reads at once: footer and, mostly, the directory.
const tailBytes = 64 << 10

// Open reads a segment's footer and directory. Errors are *[DamageError],
// *[VersionError] or the ReaderAt's. Counts and lengths are checked against
// size before anything is allocated for them.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	if size < headerLen+footerLen {
		return nil, &DamageError{Part: "footer", Length: max(size, 0), Reason: "too short for a segment"}
	}
	end, err := readAt(r, nil, max(0, size-tailBytes), min(size, tailBytes))
	if err != nil {
		return nil, err
	}
	f, err := parseFooter(end[len(end)-footerLen:], size)
	if err != nil {
		return nil, err
	}
	raw := end[:len(end)-footerLen]
	if f.length > uint64(len(raw)) {
		if raw, err = readAt(r, nil, int64(f.directory), int64(f.length)); err != nil {
			return nil, err
		}
	}
	raw = raw[uint64(len(raw))-f.length:]
	if sha256.Sum256(raw) != f.digest {
		return nil, f.damage("SHA-256 mismatch")
	}
	runs, reason := parseDirectory(raw, f)
	if reason != "" {
		return nil, f.damage(reason)
	}
	return &Reader{r: r, size: size, footer: f, runs: runs}, nil
}

func (f *footer) damage(reason string) error {
	return &DamageError{Part: "directory", Position: int64(f.directory), Length: int64(f.length), Reason: reason}
}

// readAt reads n bytes at a position, into dst if they fit.
func readAt(r io.ReaderAt, dst []byte, position, n int64) ([]byte, error) {
	if n > math.MaxInt {
		return nil, fmt.Errorf("segment: read %d bytes at byte %d: more than this machine can hold", n, position)
	}
	dst = slices.Grow(dst[:0], int(n))[:n]
	got, err := r.ReadAt(dst, position)
	switch {
	case got == len(dst):
		return dst, nil
	case errors.Is(err, io.EOF) || err == nil:
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("segment: read %d bytes at byte %d: %w", n, position, err)
}

// Runs is the directory: by topic ID, partition, base offset. It is shared:
// don't write it.
func (r *Reader) Runs() []RunInfo { return r.runs }

// Run reads and checks a run's index, which must say what info says.
func (r *Reader) Run(info RunInfo) (*Run, error) {
	b := info.Block
	damage := func(reason string) (*Run, error) {
		return nil, &DamageError{Part: "run", Position: b.Position, Length: int64(b.Length), Partition: info.Partition,
			BaseOffset: info.BaseOffset, EndOffset: info.EndOffset, Reason: reason}
	}
	if b.Position < headerLen || b.Length < 0 || b.Position > r.size-int64(b.Length) {
		return damage("lies outside the object")
	}
	raw, err := readAt(r.r, nil, b.Position, int64(b.Length))
	if err != nil {
		return nil, err
	}
	run, err := ParseRun(raw, b)
	if d := new(DamageError); errors.As(err, &d) {
		return damage(d.Reason)
	}
	if err == nil && run.RunInfo != info {
		return damage("says other things than the directory")
	}
	return run, err
}

// Batches yields the run's batches whose end offset is beyond from. Each
// frame is checked by [OpenFrame] before its first batch is yielded. A yielded
// batch is valid until the next one is asked for. An error is yielded last.
func (r *Reader) Batches(run *Run, from int64) iter.Seq2[batch.Batch, error] {
	return func(yield func(batch.Batch, error) bool) {
		var b frameBuffers
		for i := range run.Frames {
			if run.Frames[i].EndOffset <= from {
				continue
			}
			raw, err := r.open(&b, run.Partition, run.Frames[i])
			if err != nil {
				yield(batch.Batch{}, err)
				return
			}
			for batch, err := range batch.All(raw) {
				if err == nil && batch.EndOffset() <= from {
					continue
				}
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}

// frameBuffers are reused from frame to frame.
type frameBuffers struct {
	stored, raw []byte
}

// open reads and opens a frame.
func (r *Reader) open(b *frameBuffers, p Partition, f Frame) (raw []byte, err error) {
	if f.Position < headerLen || f.Length < 0 || f.Position > r.size-int64(f.Length) {
		err = &DamageError{Part: "frame", Position: f.Position, Length: int64(f.Length), Reason: "lies outside the object"}
	} else if b.stored, err = readAt(r.r, b.stored, f.Position, int64(f.Length)); err != nil {
		return nil, err
	} else {
		raw, err = OpenFrame(b.raw[:0], b.stored, f)
	}
	if d := new(DamageError); errors.As(err, &d) {
		d.Partition, d.BaseOffset, d.EndOffset = p, f.BaseOffset, f.EndOffset
		return nil, err
	}
	if f.Codec != codecNone {
		b.raw = raw
	}
	return raw, err
}
