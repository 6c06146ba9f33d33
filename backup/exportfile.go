package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// exporter writes one partition after the other.
type exporter struct {
	snapshot *storage.Snapshot
	root     *os.Root
	options  ExportOptions
	files    []ExportedFile
}

// partition writes one partition's files.
func (e *exporter) partition(ctx context.Context, t storage.Topic, p storage.PartitionState) error {
	if p.Partition.Partition < 0 || p.StartOffset < 0 {
		return errors.New("partition or offset below 0")
	}
	dir := fmt.Sprintf("%s-%d", t.Name, p.Partition.Partition)
	if err := e.root.Mkdir(dir, 0o700); err != nil {
		return err
	}
	id := segment.Partition{Topic: t.ID, Partition: p.Partition.Partition}
	cursor := e.snapshot.Cursor(ctx, id, p.History, p.StartOffset, p.EndOffset, storage.CursorOptions{})
	defer cursor.Close()
	next, stop := iter.Pull2(batchesOf(cursor))
	defer stop()
	b, err, more := next()
	if !more { // as a broker has an empty log
		return e.file(dir, ExportedFile{Topic: t.Name, Partition: id.Partition, BaseOffset: p.StartOffset, EndOffset: p.StartOffset}, func(*logFile) error { return nil })
	}
	for more && err == nil {
		f := ExportedFile{Topic: t.Name, Partition: id.Partition, BaseOffset: b.BaseOffset(), EndOffset: b.BaseOffset()}
		err = e.file(dir, f, func(w *logFile) error {
			for more && err == nil && w.fits(b, e.options.RollBytes) {
				if werr := w.add(b); werr != nil {
					return werr
				}
				b, err, more = next()
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	return syncDir(e.root, dir)
}

// batchesOf are a cursor's batches up to its end.
func batchesOf(c *storage.Cursor) iter.Seq2[batch.Batch, error] {
	return func(yield func(batch.Batch, error) bool) {
		for {
			b, _, err := c.Next()
			if errors.Is(err, io.EOF) || !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// file makes one file that fill fills; it gets its name when it is synced.
func (e *exporter) file(dir string, info ExportedFile, fill func(*logFile) error) error {
	info.Path = path.Join(dir, fmt.Sprintf("%020d.log", info.BaseOffset))
	part := info.Path + ".part"
	f, err := e.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := &logFile{f: f, info: info}
	err = fill(w)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(err, e.root.Remove(part))
	}
	if err := e.root.Rename(part, info.Path); err != nil {
		return err
	}
	e.files = append(e.files, w.info)
	if e.options.OnProgress != nil {
		e.options.OnProgress(w.info)
	}
	return nil
}

// logFile is a log file being written.
type logFile struct {
	f    *os.File
	info ExportedFile
}

// fits says whether the batch may go into the file: a log file's offsets are
// 32 bits beyond its base offset.
func (w *logFile) fits(b batch.Batch, roll int64) bool {
	return w.info.Batches == 0 || w.info.Bytes+int64(b.Len()) <= roll && b.EndOffset()-1-w.info.BaseOffset <= math.MaxInt32
}

func (w *logFile) add(b batch.Batch) error {
	if _, err := w.f.Write(b.Raw()); err != nil {
		return err
	}
	w.info.EndOffset = b.EndOffset()
	w.info.Batches++
	w.info.Records += int64(b.Records())
	w.info.Bytes += int64(b.Len())
	return nil
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
