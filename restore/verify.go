package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// verify reads all data that would be restored: frames against their digests, batches against their
// CRC.
func (j *job) verify(ctx context.Context) error {
	return j.each(ctx, func(ctx context.Context, pj *partitionJob) error {
		src := pj.cursor(ctx, j.cfg.Snapshot, pj.start())
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
