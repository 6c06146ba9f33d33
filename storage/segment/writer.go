package segment

import "io"

// Options are a Writer's settings. The zero value is the default.
type Options struct {
	// FrameBytes is the length at which a frame ends, in bytes of batches;
	// a larger batch makes a larger frame. Default 1 MiB.
	FrameBytes int
	// BufferBytes bounds what a Writer holds of all partitions together, in
	// bytes; beyond it the fullest partition's frame is ended early. Default 32 MiB.
	BufferBytes int
	// Zstd compresses frames whose batches aren't compressed. Default off.
	Zstd bool
}

// Writer writes one segment. Not safe for concurrent use.
type Writer struct{}

// NewWriter starts a segment on w. Nothing is written before the first frame.
func NewWriter(w io.Writer, o Options) *Writer { panic("TODO") }

// Append adds a copy of a batch to the partition's run. The batch must not
// begin before the end of the run so far. The CRC isn't checked again.
func (w *Writer) Append(p Partition, b Batch) error { panic("TODO") }

// Aborted notes aborted transactions that overlap the partition's run.
func (w *Writer) Aborted(p Partition, txns ...AbortedTxn) error { panic("TODO") }

// Size is how long the object would be if it were closed now, nearly.
func (w *Writer) Size() int64 { panic("TODO") }

// Close ends all frames and writes index and footer; it doesn't close the
// underlying writer. It returns the directory.
func (w *Writer) Close() ([]RunInfo, error) { panic("TODO") }
