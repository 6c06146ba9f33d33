package backup

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// read checks every byte of an object, that it holds the runs the manifest
// means, and explains the offsets between batches.
func (v *verifier) read(ctx context.Context, o storage.Object) error {
	r, err := segment.Open(&objectReader{ctx: ctx, s: v.s, o: o}, o.Size)
	if err != nil {
		return v.unusable(o.Key, err)
	}
	infos := r.Runs()
	ends := make([]int64, len(infos))
	var records int64
	err = r.VerifyBatches(func(run int, b batch.Batch) {
		records += int64(b.Records())
		if base := b.BaseOffset(); ends[run] > 0 && base > ends[run] {
			v.between(o.Key, infos[run].Partition, ends[run], base)
		}
		ends[run] = b.EndOffset()
	})
	if err := v.segmentDamage(o.Key, err); err != nil {
		return err
	}
	v.compare(o.Key, infos)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Objects++
	v.report.Bytes += o.Size
	v.report.Records += records
	if v.o.OnProgress != nil {
		v.o.OnProgress(v.report.Objects, v.total, v.report.Bytes)
	}
	return nil
}

// between explains offsets between two batches of a run.
func (v *verifier) between(object string, p segment.Partition, base, end int64) {
	var gap storage.Range
	for _, holes := range v.holes[p] {
		var open bool
		if gap, open = uncovered(holes, base, end); !open {
			return
		}
	}
	if gap.EndOffset <= gap.BaseOffset {
		return // no history names the partition any more
	}
	v.problem(Problem{
		Kind: problemUnexplained, Topic: v.names[p.Topic], Partition: p.Partition, BaseOffset: gap.BaseOffset, EndOffset: gap.EndOffset,
		Object: object, Detail: "no batch and no hole has the offsets",
	})
}

// compare checks that the object's directory has the runs that the manifest
// means. It may have more: those that fell below the log start.
func (v *verifier) compare(object string, infos []segment.RunInfo) {
	have := make([]uint64, len(infos))
	for i := range infos {
		have[i] = digestOf(infos[i])
	}
	for _, want := range v.wanted[object] {
		if !slices.Contains(have, want) {
			v.broken(object, problemDamaged, errors.New("a run that the manifest names isn't in the object, or is another"))
			return
		}
	}
}

// unusable is damage that leaves nothing of the object to read.
func (v *verifier) unusable(object string, err error) error {
	var d *segment.DamageError
	var version *segment.VersionError
	var sd *storage.DamageError
	var refused *storage.UnreadableError
	if errors.As(err, &refused) {
		v.broken(object, problemUnreadable, refused.Err)
		return nil
	}
	if !errors.As(err, &d) && !errors.As(err, &version) && !errors.As(err, &sd) {
		return err
	}
	v.broken(object, problemDamaged, err)
	return nil
}

// segmentDamage reports the damage that Verify joined, and returns what else
// went wrong.
func (v *verifier) segmentDamage(object string, err error) error {
	var joined interface{ Unwrap() []error }
	errs := []error{err}
	if errors.As(err, &joined) {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		var d *segment.DamageError
		switch {
		case err == nil:
		case errors.As(err, &d) && d.EndOffset > d.BaseOffset:
			v.problem(Problem{
				Kind: problemDamaged, Topic: v.names[d.Partition.Topic], Partition: d.Partition.Partition,
				BaseOffset: d.BaseOffset, EndOffset: d.EndOffset, Object: object, Detail: d.Error(),
			})
		default:
			if err := v.unusable(object, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// objectReader reads an object forwards, some megabytes at a time; a small one as a whole.
type objectReader struct {
	ctx  context.Context //nolint:containedctx // io.ReaderAt has no context
	s    *storage.Snapshot
	o    storage.Object
	buf  []byte
	base int64
}

// ReadAt implements io.ReaderAt.
func (r *objectReader) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) {
		if at >= r.o.Size {
			return n, io.EOF
		}
		if at < r.base || at >= r.base+int64(len(r.buf)) {
			if err := r.fill(at, int64(len(p)-n)); err != nil {
				return n, err
			}
		}
		k := copy(p[n:], r.buf[at-r.base:])
		n, at = n+k, at+int64(k)
	}
	return n, nil
}

func (r *objectReader) fill(at, length int64) error {
	if r.o.Size <= verifyBytes {
		at, length = 0, r.o.Size
	}
	raw, _, err := r.s.ReadObject(r.ctx, r.o.Key, at, min(max(length, verifyBytes), r.o.Size-at))
	if err != nil {
		return err
	}
	r.buf, r.base = raw, at
	return nil
}
