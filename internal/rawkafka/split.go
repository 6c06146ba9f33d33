package rawkafka

import (
	"encoding/binary"
	"errors"

	"github.com/kafkadr/kafkadr/storage/batch"
)

var errHandler = errors.New("rawkafka: the handler has ended")

// walk finds where the whole batches at the front of raw end, from their
// headers alone: the offset behind the last one, never below position, and its
// leader epoch.
func walk(raw []byte, position int64) (end int64, epoch int32) {
	end, epoch = position, -1
	for len(raw) >= 17 {
		n := int64(int32(binary.BigEndian.Uint32(raw[8:]))) + 12
		if n < 17 || n > int64(len(raw)) {
			break
		}
		last := int64(binary.BigEndian.Uint64(raw)) // a message's, or a compressed set's last
		if raw[16] >= 2 {
			if n < batch.HeaderSize {
				break
			}
			last += int64(int32(binary.BigEndian.Uint32(raw[23:])))
			epoch = int32(binary.BigEndian.Uint32(raw[12:]))
		}
		end = max(end, last+1)
		raw = raw[n:]
	}
	return end, epoch
}

// whole returns the whole batches at the front of raw, those of magic 0 and 1
// re-encoded, after checking every batch's CRC.
func whole(raw []byte) ([]byte, error) {
	raw, err := batch.ConvertLegacy(raw)
	if err != nil {
		return nil, corrupt("rawkafka: %w", err)
	}
	n := 0
	for b, err := range batch.All(raw) {
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil {
			return nil, corrupt("rawkafka: %w", err)
		}
		n += b.Len()
	}
	return raw[:n], nil
}
