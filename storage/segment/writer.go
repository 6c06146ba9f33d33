package segment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Options are a Writer's settings. The zero value is the default.
type Options struct {
	// FrameBytes is the length at which a frame ends, in bytes of batches;
	// a larger batch makes a larger frame. Default 1 MiB.
	FrameBytes int
	// BufferBytes bounds what a Writer holds of all partitions together, in
	// bytes; beyond it the partition that holds most ends its frame early.
	// Default 32 MiB. A Writer that compresses needs up to two frames more.
	BufferBytes int
	// Zstd compresses frames whose batches aren't compressed. Default off.
	Zstd bool
}

func (o Options) withDefaults() Options {
	if o.FrameBytes <= 0 {
		o.FrameBytes = 1 << 20
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = 32 << 20
	}
	o.FrameBytes = min(o.FrameBytes, o.BufferBytes, 1<<30)
	return o
}

// Writer writes one segment. Not safe for concurrent use.
type Writer struct {
	w        io.Writer
	o        Options
	runs     map[Partition]*runWriter
	buffers  buffers
	position int64 // what was written
	frames   int
	aborted  int
	enc      *zstd.Encoder
	packed   []byte
	err      error // the first failed write, which ends everything
}

// runWriter is one partition's run under way.
type runWriter struct {
	summary
	aborts  batch.AbortTracker
	aborted map[batch.AbortedTxn]struct{}
	frames  []Frame
	frame   summary // of what buf holds
	plain   int     // bytes of it in batches that aren't compressed
	buf     []byte
	index   int // in buffers
}

// errClosed is returned by methods of a Writer that was closed.
var errClosed = errors.New("segment: the writer is closed")

// NewWriter starts a segment on w. Nothing is written before the first frame.
func NewWriter(w io.Writer, o Options) *Writer {
	return &Writer{w: w, o: o.withDefaults(), runs: map[Partition]*runWriter{}}
}

func (w *Writer) run(p Partition) *runWriter {
	r := w.runs[p]
	if r == nil {
		r = &runWriter{summary: summary{RunInfo: RunInfo{Partition: p}}, index: -1}
		w.runs[p] = r
	}
	return r
}

// Append adds a copy of a batch to the partition's run. The batch must not
// begin before the end of the run so far: that is a *[batch.Error]. The CRC
// isn't checked again. After an error of the underlying writer, every call
// returns it.
func (w *Writer) Append(p Partition, b batch.Batch) error {
	if w.err != nil {
		return w.err
	}
	if p.Partition < 0 || len(b.Raw()) < batch.HeaderSize {
		return fmt.Errorf("segment: %v: append: not a partition, or no batch", p)
	}
	r := w.run(p)
	if base := b.BaseOffset(); base < r.EndOffset {
		return fmt.Errorf("segment: %v: append: %w", p,
			&batch.Error{BaseOffset: base, Reason: fmt.Sprintf("begins before the run's end %d", r.EndOffset)})
	}
	if len(r.buf) > 0 && len(r.buf)+b.Len() > w.o.FrameBytes {
		w.endFrame(r, r.buf)
	}
	r.add(b, r.aborts.Aborted(b))
	r.frame.add(b, false)
	if !b.Compressed() {
		r.plain += b.Len()
	}
	if b.Len() >= w.o.FrameBytes {
		w.endFrame(r, b.Raw())
		return w.err
	}
	w.hold(r, b.Raw())
	return w.err
}

// Aborted notes aborted transactions that overlap the partition's run. Those
// that begin at or beyond the run's end when the Writer is closed are left
// out. Note them before the batches they cover are appended: HoleRuns counts
// them only then.
func (w *Writer) Aborted(p Partition, txns ...batch.AbortedTxn) error {
	if w.err != nil {
		return w.err
	}
	r := w.run(p)
	for _, t := range txns {
		if t.FirstOffset < 0 {
			return fmt.Errorf("segment: %v: aborted transaction of producer %d at offset %d", p, t.ProducerID, t.FirstOffset)
		}
		if _, ok := r.aborted[t]; ok {
			continue
		}
		if r.aborted == nil {
			r.aborted = map[batch.AbortedTxn]struct{}{}
		}
		r.aborted[t] = struct{}{}
		w.aborted++
	}
	r.aborts.Add(txns...)
	return nil
}

// Size is how long the object would be if it were closed now, nearly: what
// compression will save of the open frames isn't known.
func (w *Writer) Size() int64 {
	return max(w.position, headerLen) + int64(w.buffers.length) + int64(w.frames+w.buffers.open)*64 + int64(w.aborted)*12 +
		int64(len(w.runs))*150 + footerLen
}

// endFrame writes the run's open frame, whose batches are raw.
func (w *Writer) endFrame(r *runWriter, raw []byte) {
	stored, codec := w.pack(r, raw)
	if w.position == 0 {
		w.write(appendHeader(nil))
	}
	s := &r.frame
	r.frames = append(r.frames, Frame{
		Position: w.position, Length: int32(len(stored)), RawLength: int32(len(raw)), Codec: codec,
		SHA256: sha256.Sum256(stored), BaseOffset: s.BaseOffset, EndOffset: s.EndOffset,
		MinTimestamp: s.MinTimestamp, MaxTimestamp: s.MaxTimestamp, Records: s.Records,
	})
	w.write(stored)
	w.frames++
	r.frame, r.plain = summary{}, 0
	w.buffers.empty(r)
}

// pack compresses a frame where that is asked for and worth it.
func (w *Writer) pack(r *runWriter, raw []byte) ([]byte, uint8) {
	if !w.o.Zstd || r.plain < len(raw) || len(raw) > maxUnpacked {
		return raw, codecNone
	}
	if w.enc == nil {
		w.enc, w.err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
		if w.err != nil {
			return raw, codecNone
		}
	}
	w.packed = w.enc.EncodeAll(raw, w.packed[:0])
	if len(w.packed) >= len(raw) {
		return raw, codecNone
	}
	return w.packed, codecZstd
}

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(p)
	w.position += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("segment: write at byte %d: %w", w.position, err)
	}
}

// Close ends all frames and writes index and footer; it doesn't close the
// underlying writer. It returns the directory: one run for each partition
// that has a batch.
func (w *Writer) Close() ([]RunInfo, error) {
	runs := w.finish()
	if w.position == 0 {
		w.write(appendHeader(nil))
	}
	f := footer{blocks: uint64(w.position)}
	infos := make([]RunInfo, 0, len(runs))
	var buf []byte
	for _, r := range runs {
		buf = appendBlock(buf[:0], r)
		if len(buf) > math.MaxInt32 && w.err == nil {
			w.err = fmt.Errorf("segment: %v: the run's index is too long", r.Partition)
		}
		r.Block = Block{Position: w.position, Length: int32(len(buf)), SHA256: sha256.Sum256(buf)}
		infos = append(infos, r.RunInfo)
		w.write(buf)
	}
	buf = appendDirectory(buf[:0], infos)
	f.directory, f.length, f.runs, f.digest = uint64(w.position), uint64(len(buf)), uint64(len(infos)), sha256.Sum256(buf)
	w.write(f.appendTo(buf))
	if w.err != nil {
		return nil, w.err
	}
	w.err = errClosed
	return infos, nil
}

// finish ends all frames and returns the runs in order.
func (w *Writer) finish() []*Run {
	var runs []*Run
	for _, r := range w.runs {
		if r.Bytes > 0 {
			runs = append(runs, &Run{RunInfo: r.RunInfo})
		}
	}
	slices.SortFunc(runs, func(a, b *Run) int { return compareRuns(a.RunInfo, b.RunInfo) })
	for _, run := range runs {
		r := w.runs[run.Partition]
		if len(r.buf) > 0 {
			w.endFrame(r, r.buf)
		}
		w.buffers.drop(r)
		run.Frames = r.frames
		for t := range r.aborted {
			if t.FirstOffset < r.EndOffset {
				run.Aborted = append(run.Aborted, t)
			}
		}
		slices.SortFunc(run.Aborted, batch.AbortedTxn.Compare)
	}
	return runs
}
