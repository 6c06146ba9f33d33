package backup_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// files reads a directory: contents by relative path.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stored are a partition's batches as the archive holds them.
func stored(t *testing.T, s *storage.Snapshot, topic string, partition int32) []byte {
	t.Helper()
	var all []byte
	for topicOf, err := range s.Topics(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if topicOf.Name != topic {
			continue
		}
		c := s.Cursor(t.Context(), segment.Partition{Topic: topicOf.ID, Partition: partition}, 0, 0, math.MaxInt64, storage.CursorOptions{})
		for {
			b, _, err := c.Next()
			if err != nil {
				break
			}
			all = append(all, b.Raw()...)
		}
		c.Close()
	}
	return all
}

// TestExport: the files hold the batches, byte for byte, in files no longer
// than asked for, each named by its base offset.
func TestExport(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders", "other"))
	a := archive(t, bucket(t))
	produce(t, c, "orders", 0, 0, 60, 4)
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, a, r.Snapshot.ID)
	dir := filepath.Join(t.TempDir(), "export")
	var told int
	got, err := backup.Export(t.Context(), s, dir, backup.ExportOptions{Topics: []string{"orders"}, RollBytes: 1000, OnProgress: func(backup.ExportedFile) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := files(t, dir)
	if len(onDisk) != len(got) || told != len(got) || len(got) < 3 {
		t.Fatalf("%d files, %d named, %d told of", len(onDisk), len(got), told)
	}
	var joined []byte
	end := int64(0)
	for _, f := range got[:len(got)-1] {
		raw := onDisk[f.Path]
		if f.BaseOffset != end || f.Bytes != int64(len(raw)) || f.Bytes > 1000 || f.Records != f.EndOffset-f.BaseOffset {
			t.Errorf("%+v of %d bytes", f, len(raw))
		}
		end = f.EndOffset
		joined = append(joined, raw...)
	}
	if !bytes.Equal(joined, stored(t, s, "orders", 0)) {
		t.Error("the files' bytes aren't the batches")
	}
	if last := got[len(got)-1]; last.Path != "orders-1/00000000000000000000.log" || last.Bytes != 0 {
		t.Errorf("an empty partition: %+v", last)
	}
	if _, err := backup.Export(t.Context(), s, dir, backup.ExportOptions{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("exported over: %v", err)
	}
	var unknown *backup.UnknownTopicError
	if _, err := backup.Export(t.Context(), s, t.TempDir(), backup.ExportOptions{Topics: []string{"nonesuch"}}); !errors.As(err, &unknown) {
		t.Errorf("a topic that isn't there: %v", err)
	}
	if _, err := backup.Export(t.Context(), s, t.TempDir(), backup.ExportOptions{Topics: []string{"none.*"}}); !errors.As(err, &unknown) {
		t.Errorf("topics that aren't there: %v", err)
	}
}

// forged commits a topic with batches at the given offsets.
func forged(t *testing.T, name string, offsets ...int64) *storage.Snapshot {
	t.Helper()
	a := archive(t, bucket(t))
	w, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: "forged"}, storage.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	id := segment.Partition{Topic: kadm.TopicID{1}}
	change := storage.Change{
		CreatedAt: time.Now(),
		Topics:    []storage.Topic{{ID: id.Topic, Name: name, Partitions: 1}},
	}
	state := storage.PartitionState{Partition: id, StartOffset: offsets[0], FirstOffset: offsets[0], EndOffset: offsets[0]}
	for _, offset := range offsets {
		if offset > state.EndOffset {
			state.Holes = append(state.Holes, storage.Hole{Range: storage.Range{BaseOffset: state.EndOffset, EndOffset: offset}, Reason: storage.Compacted})
		}
		state.EndOffset = offset + 1
	}
	sw, err := w.NewSegment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range offsets {
		raw, err := batch.Append(nil, offset, kgo.NoCompression(), &kgo.Record{Value: []byte("x"), Timestamp: time.UnixMilli(1)})
		if err != nil {
			t.Fatal(err)
		}
		b, err := batch.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := sw.Append(id, b); err != nil {
			t.Fatal(err)
		}
	}
	closed, err := sw.Close()
	if err != nil {
		t.Fatal(err)
	}
	change.Segments, change.Partitions = []*storage.Closed{closed}, []storage.PartitionState{state}
	info, err := w.Commit(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, a, info.ID)
}

// TestExportRollsByOffset: a log file's offsets are 32 bits beyond its base.
func TestExportRollsByOffset(t *testing.T) {
	s := forged(t, "sparse", 5, 5+math.MaxInt32, 6+math.MaxInt32)
	got, err := backup.Export(t.Context(), s, t.TempDir(), backup.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range got {
		paths = append(paths, f.Path)
	}
	want := []string{"sparse-0/00000000000000000005.log", "sparse-0/00000000002147483653.log"}
	if d := cmp.Diff(want, paths); d != "" {
		t.Error(d)
	}
}

// TestExportHostileNames: a forged topic name writes nothing, anywhere.
func TestExportHostileNames(t *testing.T) {
	for _, name := range []string{"../evil", "/tmp/evil", "..", ".", "a/b", `a\b`, "a\x00b", "é", strings.Repeat("x", 250), "evil\n"} {
		dir := filepath.Join(t.TempDir(), "export")
		got, err := backup.Export(t.Context(), forged(t, name, 0), dir, backup.ExportOptions{})
		if err == nil {
			t.Errorf("%q was exported: %v", name, got)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%q: the directory was made", name)
		}
	}
}
