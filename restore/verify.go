package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kafkadr/kafkadr/storage"
)

// verify reads all data that would be restored: frames against their digests, batches against their CRC.
func (j *job) verify(ctx context.Context) error {
	return j.each(ctx, func(ctx context.Context, pj *partitionJob) error {
		src := j.cfg.Snapshot.Cursor(ctx, pj.state.Partition, pj.state.History, pj.start(), pj.state.EndOffset, storage.CursorOptions{})
		defer src.Close()
		at := pj.start()
		for {
			b, _, err := src.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = b.CheckCRC()
			}
			if err != nil {
				return pj.wrap(at, fmt.Errorf("verify: %w", err))
			}
			at = b.EndOffset()
		}
	})
}
