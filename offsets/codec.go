package offsets

import (
	"encoding"
	"errors"
)

var (
	_ encoding.BinaryMarshaler   = (*Map)(nil)
	_ encoding.BinaryAppender    = (*Map)(nil)
	_ encoding.BinaryUnmarshaler = (*Map)(nil)
)

// MarshalBinary encodes the map.
func (m *Map) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// AppendBinary appends the encoded map to b.
func (m *Map) AppendBinary(b []byte) ([]byte, error) { return b, errors.ErrUnsupported }

// UnmarshalBinary decodes what MarshalBinary made.
func (m *Map) UnmarshalBinary([]byte) error { return errors.ErrUnsupported }
