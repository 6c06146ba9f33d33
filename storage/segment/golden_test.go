package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

// writeGolden makes the golden segment of a new format version. Those that
// are there are never made again: they are what was written then.
var writeGolden = flag.Bool("write-golden", false, "write the golden segment of this format version, if it isn't there")

// goldenRun is what must be read from a golden segment's run.
type goldenRun struct {
	Partition                     string
	BaseOffset, EndOffset         int64
	Records, Bytes, Missing       int64
	HoleRuns                      int64
	MinTimestamp, MaxTimestamp    int64
	LeaderEpoch, MaxBatch, Frames int32
	Aborted                       []batch.AbortedTxn
	BatchesSHA256                 string
	Decoded                       []batchtest.Fact
}

// goldenBatches hold every kind of batch.
func goldenBatches(t *testing.T) (map[Partition][]batch.Batch, map[Partition][]batch.AbortedTxn) {
	a, b, c := Partition{topic(1), 0}, Partition{topic(1), 3}, Partition{topic(2), 0}
	parts := map[Partition][]batch.Batch{a: {}, c: {
		batchtest.Encode(t, 1<<40, kgo.NoCompression(), &kgo.Record{Offset: 1<<40 + 2, Value: bytes.Repeat([]byte("long "), 60), Timestamp: time.UnixMilli(5)}),
		batchtest.Plain(t, 1<<40+3, 4),
	}}
	for i, codec := range batchtest.Codecs() {
		at := int64(100 + 10*i)
		parts[a] = append(parts[a], batchtest.Encode(t, at, codec,
			&kgo.Record{Offset: at, Key: []byte{}, Timestamp: time.UnixMilli(-1)},
			&kgo.Record{Offset: at + 1, Value: []byte{}, Timestamp: time.UnixMilli(0)},
			&kgo.Record{Offset: at + 5, Key: []byte("k"), Value: []byte("v"), Timestamp: time.UnixMilli(1700000000000),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h"}, {Key: "\xff", Value: []byte{}}}}))
	}
	parts[b] = []batch.Batch{batchtest.Transactional(batchtest.Plain(t, 0, 2), 9), batchtest.Transactional(batchtest.Plain(t, 2, 1), 8), batchtest.Marker(t, 3, 9, 0), batchtest.Marker(t, 4, 8, 1),
		batchtest.Emptied(batchtest.Plain(t, 5, 3)), batchtest.Edit(batchtest.Plain(t, 8, 2), batchtest.Attribute(batchtest.LogAppendTime))}
	return parts, map[Partition][]batch.AbortedTxn{b: {{ProducerID: 9, FirstOffset: 0}}}
}

func golden(t *testing.T, object []byte) []goldenRun {
	t.Helper()
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	var runs []goldenRun
	for _, info := range r.Runs() {
		run, err := r.Run(info)
		if err != nil {
			t.Fatal(err)
		}
		g := goldenRun{info.String(), info.BaseOffset, info.EndOffset, info.Records, info.Bytes, info.Missing, info.HoleRuns,
			info.MinTimestamp, info.MaxTimestamp, info.LeaderEpoch, info.MaxBatch, int32(len(run.Frames)), run.Aborted, "", nil}
		h := sha256.New()
		for b, err := range r.Batches(run, 0) {
			if err != nil {
				t.Fatal(err)
			}
			h.Write(b.Raw())
			rs, err := batch.Decode(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			g.Decoded = append(g.Decoded, batchtest.Facts(rs)...)
		}
		g.BatchesSHA256 = hex.EncodeToString(h.Sum(nil))
		runs = append(runs, g)
	}
	return runs
}

func TestGolden(t *testing.T) {
	if *writeGolden {
		makeGolden(t)
	}
	for name, digest := range map[string]string{
		"v1": "8419b7c02525002b8d7026914e724f2aa6206eb36dcf85b471bacbce2e1177e3",
	} {
		object, err := os.ReadFile(filepath.Join("testdata", name+".kdrseg"))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(object); hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s is not the file that was written once: %x", name, sum)
		}
		raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(golden(t, object), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(raw), string(got)+"\n"); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func makeGolden(t *testing.T) {
	parts, aborted := goldenBatches(t)
	object, _ := write(t, Options{FrameBytes: 400, Zstd: true}, parts, aborted)
	text, err := json.MarshalIndent(golden(t, object), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"v1.kdrseg": object, "v1.json": append(text, '\n')} {
		f, err := os.OpenFile(filepath.Join("testdata", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
