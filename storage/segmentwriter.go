package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/internal/storeop"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// SegmentWriter writes one segment object. Not safe for concurrent use. End it with Close or Abort.
//
// Its bytes are sent as they come and not kept, so an upload that fails isn't tried again here:
// Append or Close returns the error, the object is lost (nothing refers to it), and the caller
// reads the batches from the source again into a new segment. Stores' own clients try single
// requests again.
type SegmentWriter struct {
	w    *Writer
	key  string
	seg  *segment.Writer
	up   *upload
	done bool
	// confirm reads the object's end back.
	confirm func(size int64, tail []byte) error
	// fenced says who took the lineage over, if an error may come of that: a sweep removes what
	// older writers wrote.
	fenced func(err error) error
}

// NewSegment starts an object; nothing refers to it before Commit. The context governs the upload
// until Close.
func (w *Writer) NewSegment(ctx context.Context) (*SegmentWriter, error) {
	number := w.segments.Add(1)
	if number > maxSegment {
		return nil, errors.New("storage: a writer has too many segments; claim anew")
	}
	key := w.l.segmentKey(w.generation, number)
	up, err := w.newUpload(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("storage: segment %s: %w", key, err)
	}
	return &SegmentWriter{
		w: w, key: key, up: up, seg: segment.NewWriter(up, w.cfg.Segment),
		confirm: func(size int64, tail []byte) error { return w.a.confirm(ctx, key, size, tail) },
		fenced: func(err error) error {
			if !errors.Is(err, errMissing) {
				return nil
			}
			return w.lookFenced(ctx)
		},
	}, nil
}

// Append adds a batch to the history of a partition.
func (s *SegmentWriter) Append(p segment.Partition, b batch.Batch) error {
	return s.wrap(s.seg.Append(p, b))
}

// Aborted notes aborted transactions of the partition's run in this object.
func (s *SegmentWriter) Aborted(p segment.Partition, txns ...batch.AbortedTxn) error {
	return s.wrap(s.seg.Aborted(p, txns...))
}

// Size is the object's length so far, nearly.
func (s *SegmentWriter) Size() int64 { return s.seg.Size() }

// Closed is a durable segment that no manifest names yet.
type Closed struct {
	Object Object
	Runs   []segment.RunInfo
}

// Close makes the object durable and returns its runs, to be named in a Change. The object's end is
// read back: so a store that says failure after success, or success and has nothing, is found out.
// Where a sweep took the lineage over and removed it, the error is a *[FencedError]. A segment
// without batches makes no object and has no runs.
func (s *SegmentWriter) Close() (*Closed, error) {
	if s.done {
		return nil, fmt.Errorf("storage: segment %s is closed", s.key)
	}
	runs, err := s.seg.Close()
	if err != nil {
		s.Abort()
		return nil, s.wrap(err)
	}
	if len(runs) == 0 {
		s.Abort()
		return &Closed{}, nil
	}
	s.done = true
	closeErr := s.up.close()
	s.w.a.operation("put", s.key, s.up.size, closeErr)
	if err := s.confirm(s.up.size, s.up.tail); err != nil {
		return nil, s.wrap(errors.Join(s.fenced(err), closeErr, err))
	}
	return &Closed{Object: Object{Key: s.key, Size: s.up.size}, Runs: runs}, nil
}

// lookFenced is a *FencedError if the newest claim is another writer's.
func (w *Writer) lookFenced(ctx context.Context) error {
	head, err := w.a.head(ctx, w.l)
	if err != nil || head == nil || head.Generation == w.generation {
		return err
	}
	return fencedBy(head)
}

// Abort drops the object. After Close it does nothing.
func (s *SegmentWriter) Abort() {
	if s.done {
		return
	}
	s.done = true
	s.up.abort()
}

func (s *SegmentWriter) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("storage: segment %s: %w", s.key, err)
}

// tailLength is how much of a segment's end is compared: its footer holds the digest of
// the directory, and that the digests of all else.
const tailLength = 128

// upload is a create-only object under way. It is cancelled when a step takes longer than
// Config.OperationTimeout and what the bytes that may be under way take on the slowest link.
type upload struct {
	w        *blob.Writer
	cancel   context.CancelCauseFunc
	cause    func() error
	watchdog *time.Timer
	timeout  time.Duration
	// parts is how many bytes the driver may hold.
	parts int64
	size  int64
	tail  []byte
}

func (w *Writer) newUpload(ctx context.Context, key string) (*upload, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	bw, err := w.a.b.NewWriter(ctx, key, &blob.WriterOptions{
		IfNotExist: true, ContentType: contentType, DisableContentTypeDetection: true,
		BufferSize: w.cfg.UploadBytes, MaxConcurrency: w.cfg.UploadParts,
	})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	u := &upload{w: bw, cancel: cancel, timeout: w.a.cfg.OperationTimeout, parts: int64(w.cfg.UploadBytes) * int64(w.cfg.UploadParts+1)}
	u.cause = func() error { return context.Cause(ctx) }
	u.watchdog = time.AfterFunc(u.timeout, func() { cancel(storeop.ErrTimeout) })
	u.watchdog.Stop()
	return u, nil
}

// watch starts the deadline of a step that adds n bytes.
func (u *upload) watch(n int) {
	u.watchdog.Reset(u.timeout + storeop.Transfer(min(u.size, u.parts)+int64(n)))
}

// Write sends p.
func (u *upload) Write(p []byte) (int, error) {
	u.watch(len(p))
	n, err := u.w.Write(p)
	u.watchdog.Stop()
	u.size += int64(n)
	u.tail = append(u.tail, p[max(0, n-tailLength):n]...)
	u.tail = append(u.tail[:0], u.tail[max(0, len(u.tail)-tailLength):]...)
	return n, u.explain(err)
}

// explain adds why the upload was cancelled.
func (u *upload) explain(err error) error {
	if cause := u.cause(); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (u *upload) close() error {
	u.watch(0)
	err := u.explain(closeWriter(u.w))
	u.watchdog.Stop()
	u.cancel(nil)
	return err
}

func (u *upload) abort() {
	u.watchdog.Stop()
	u.cancel(context.Canceled)
	_ = closeWriter(u.w) // says that it was cancelled
}

// confirm checks that the object is there, as long as it was sent, and ends as it was sent.
func (a *Archive) confirm(ctx context.Context, key string, size int64, tail []byte) error {
	raw, got, err := a.readRange(ctx, key, true, size-int64(len(tail)), int64(len(tail)))
	switch {
	case isAbsent(err):
		return errMissing
	case err != nil:
		return err
	case got != size || !bytes.Equal(raw, tail):
		return errors.New("the object isn't what was sent")
	}
	return nil
}
