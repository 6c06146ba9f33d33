package segment

import (
	"io"
	"iter"
)

// Reader reads one segment. Safe for concurrent use if the io.ReaderAt is.
type Reader struct{}

// Open reads a segment's footer and directory. Errors are *[DamageError],
// *[VersionError] or the ReaderAt's. Counts and lengths are checked against size before
// anything is allocated for them.
func Open(r io.ReaderAt, size int64) (*Reader, error) { panic("TODO") }

// Runs is the directory: by topic ID, partition, base offset.
func (r *Reader) Runs() []RunInfo { panic("TODO") }

// Run reads and checks a run's index.
func (r *Reader) Run(info RunInfo) (*Run, error) { panic("TODO") }

// Batches yields the run's batches whose end offset is beyond from. Each frame is
// checked against its digest before its first batch is yielded. A yielded batch is
// valid until the next one is asked for.
func (r *Reader) Batches(run *Run, from int64) iter.Seq2[Batch, error] { panic("TODO") }

// ParseRun decodes a run's index from the bytes that block names, checking its digest.
// It is for readers that know the block from a manifest and fetch by range.
func ParseRun(raw []byte, block Block) (*Run, error) { panic("TODO") }

// OpenFrame checks a frame's stored bytes against its digest and returns
// its batches, decompressed into dst if need be. Never more than RawLength
// bytes are made.
func OpenFrame(dst, stored []byte, f Frame) ([]byte, error) { panic("TODO") }

// Verify reads the whole object and checks every byte of it: header, frames
// against digests, batches against CRC, index against batches, directory
// against runs, footer, and that nothing lies between them.
func (r *Reader) Verify() error { panic("TODO") }
