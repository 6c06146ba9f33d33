package storage

import (
	"context"
	"errors"
)

// ErrMissing says that an object that a manifest names isn't there. It is found in a
// *[DamageError].
var ErrMissing = errMissing

// ReadObject reads a range of a segment that the snapshot names, and the segment's size, for those
// who verify the bytes: nothing is checked here. Bytes or an object that aren't there are a
// *[DamageError], one that the store refuses to give an *[UnreadableError].
func (s *Snapshot) ReadObject(ctx context.Context, key string, position, length int64) (raw []byte, size int64, err error) {
	raw, size, err = s.a.readRange(ctx, key, true, position, length)
	switch {
	case err == nil && int64(len(raw)) < length:
		return nil, size, &DamageError{Object: key, Err: errTruncated}
	case isAbsent(err):
		return nil, 0, &DamageError{Object: key, Err: errMissing}
	case errors.Is(err, errTruncated):
		return nil, size, &DamageError{Object: key, Err: err}
	case s.a.refuses(err):
		return nil, 0, &UnreadableError{Object: key, Err: err}
	}
	return raw, size, err
}
