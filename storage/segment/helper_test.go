package segment

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func topic(n byte) (id kadm.TopicID) {
	id[0], id[15] = n, 0xff
	return id
}

// write makes a segment of batches by partition, partitions in turn.
func write(t testing.TB, o Options, parts map[Partition][]batch.Batch, aborted map[Partition][]batch.AbortedTxn) ([]byte, []RunInfo) {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, o)
	for p, txns := range aborted {
		if err := w.Aborted(p, txns...); err != nil {
			t.Fatal(err)
		}
	}
	for i, more := 0, true; more; i++ {
		more = false
		for n := range byte(10) {
			for j := range int32(4) {
				p := Partition{topic(n), j}
				if i >= len(parts[p]) {
					continue
				}
				more = true
				if err := w.Append(p, parts[p][i]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	infos, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), infos
}

// read reads all batches of a segment, or fails like a reader.
func read(object []byte) (map[Partition][]batch.Batch, error) {
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		return nil, err
	}
	parts := map[Partition][]batch.Batch{}
	for _, info := range r.Runs() {
		run, err := r.Run(info)
		if err != nil {
			return parts, err
		}
		for b, err := range r.Batches(run, 0) {
			if err != nil {
				return parts, err
			}
			parts[info.Partition] = append(parts[info.Partition], batchtest.Make(bytes.Clone(b.Raw())))
		}
	}
	return parts, nil
}

func verify(object []byte) error {
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		return err
	}
	return r.Verify()
}

// small is a segment of several partitions, frames and kinds of batches.
func small(t testing.TB) (object []byte, parts map[Partition][]batch.Batch, infos []RunInfo) {
	t.Helper()
	a, b, c := Partition{topic(1), 0}, Partition{topic(1), 1}, Partition{topic(2), 0}
	parts = map[Partition][]batch.Batch{
		a: {batchtest.Plain(t, 5, 2), batchtest.Plain(t, 7, 1), batchtest.Plain(t, 20, 3)},
		b: {batchtest.Transactional(batchtest.Plain(t, 0, 2), 9), batchtest.Marker(t, 2, 9, 0), batchtest.Plain(t, 3, 1), batchtest.Emptied(batchtest.Plain(t, 4, 5))},
		c: {batchtest.Encode(t, 1<<40, kgo.ZstdCompression(), &kgo.Record{Value: bytes.Repeat([]byte("x"), 500), Offset: 1<<40 + 3, Timestamp: time.UnixMilli(-1)})},
	}
	object, infos = write(t, Options{FrameBytes: 200, Zstd: true}, parts, map[Partition][]batch.AbortedTxn{b: {{ProducerID: 9, FirstOffset: 0}}})
	return object, parts, infos
}
