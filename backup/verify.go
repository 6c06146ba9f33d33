package backup

import (
	"context"

	"github.com/kafkadr/kafkadr/storage"
)

// VerifyOptions are the settings of a Verify. The zero value reads everything.
type VerifyOptions struct {
	// Sample is the share of objects that are read, 0 to 1; existence and sizes are checked of all. Default all.
	Sample float64
	// OnProgress is called now and then.
	OnProgress func(objects, total int, bytes int64)
}

// Report is what Verify found.
type Report struct {
	Snapshot storage.Info `json:"snapshot"`
	Objects  int          `json:"objects"`
	Bytes    int64        `json:"bytes"`
	Records  int64        `json:"records"`
	Problems []Problem    `json:"problems"`
}

// Problem is damage, or an offset that nothing explains.
type Problem struct {
	// Kind is damaged, missing_object, size, manifest, unexplained, …
	Kind       string `json:"kind"`
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	BaseOffset int64  `json:"base_offset"`
	EndOffset  int64  `json:"end_offset"`
	Object     string `json:"object"`
	Detail     string `json:"detail"`
}

// Verify reads and checks everything the snapshot names, and the lineage's manifest chain, and explains every offset.
// Damage is in the Report, not an error.
func Verify(ctx context.Context, a *storage.Archive, s *storage.Snapshot, o VerifyOptions) (*Report, error) {
	panic("TODO")
}
