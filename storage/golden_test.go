package storage_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
	"github.com/kafkadr/kafkadr/storage/segment"
)

var writeGolden = flag.Bool("golden", false, "write testdata of a new format version; refused where it exists")

const (
	goldenV1 = "testdata/v1"
	goldenV2 = "testdata/v2"
)

// TestGolden reads archives of each format version that were written once and never will be again.
func TestGolden(t *testing.T) {
	if *writeGolden {
		makeGolden(t, goldenV2)
	}
	t.Run("v1", func(t *testing.T) { readGolden(t, goldenV1, goldenGroups()[:1]) })
	t.Run("v2", func(t *testing.T) { readGolden(t, goldenV2, goldenGroups()) })
}

func readGolden(t *testing.T, dir string, groups []storage.Group) {
	a, err := storage.OpenFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := a.VerifyChain(t.Context(), lineage); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := describe(t, a, s)
	if diff := cmp.Diff(goldenContent(groups), got); diff != "" {
		t.Fatalf("not what was written: %s", diff)
	}
	if _, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{}); !errors.Is(err, storage.ErrReadOnly) {
		t.Fatal(err)
	}
}

// content is all that a reader gets of an archive.
type content struct {
	Snapshots []string
	Info      storage.Info
	Topics    []storage.Topic
	States    []storage.PartitionState
	Runs      int
	Groups    []storage.Group
	Cluster   storage.Cluster
	Batches   []goldenBatch
}

type goldenBatch struct {
	Partition int32
	Base, End int64
	Aborted   bool
}

func describe(t *testing.T, a *storage.Archive, s *storage.Snapshot) (c content) {
	t.Helper()
	c.Info = s.Info()
	c.Info.ID = ""
	for i, err := range a.Snapshots(t.Context(), lineage) {
		c.Snapshots = append(c.Snapshots, i.ID[:7])
		noError(t, err)
	}
	for v, err := range s.Topics(t.Context()) {
		c.Topics = append(c.Topics, v)
		noError(t, err)
	}
	for v, err := range s.Groups(t.Context()) {
		c.Groups = append(c.Groups, v)
		noError(t, err)
	}
	var err error
	c.Cluster, err = s.Cluster(t.Context())
	noError(t, err)
	for i := range int32(2) {
		p := partition(1, i)
		for st, err := range s.Histories(t.Context(), p) {
			c.States = append(c.States, st)
			noError(t, err)
			for _, err := range s.Runs(t.Context(), p, st.History, 0) {
				c.Runs++
				noError(t, err)
			}
			c.Batches = append(c.Batches, batches(t, s, p, st.History)...)
		}
	}
	return c
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func batches(t *testing.T, s *storage.Snapshot, p segment.Partition, history int32) (got []goldenBatch) {
	t.Helper()
	cur := s.Cursor(t.Context(), p, history, 0, 1<<62, storage.CursorOptions{})
	defer cur.Close()
	for {
		b, aborted, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		noError(t, err)
		noError(t, b.CheckCRC())
		got = append(got, goldenBatch{p.Partition, b.BaseOffset(), b.EndOffset(), aborted})
	}
}

func goldenChange() storage.Change {
	value := "604800000"
	top := topic(1)
	top.Configs = []storage.TopicConfig{{Key: "retention.ms", Value: &value, Source: "DYNAMIC_TOPIC_CONFIG"}, {Key: "secret", Source: "DEFAULT_CONFIG"}}
	gone := topic(2)
	gone.Deleted = cutAt.Add(-time.Hour)
	return storage.Change{
		CreatedAt: cutAt, Topics: []storage.Topic{top, gone}, Groups: goldenGroups(),
		Cluster: &storage.Cluster{
			Brokers: 3, ACLs: []storage.ACL{{"TOPIC", "topic-1", "LITERAL", "User:alice", "*", "READ", "ALLOW"}},
			Quotas:     []storage.Quota{{Entity: map[string]*string{"user": nil}, Values: map[string]float64{"producer_byte_rate": 1024.5}}},
			ScramUsers: []string{"alice"}, LeftOut: []string{"__consumer_offsets"}, Unread: map[string]string{"quotas": "CLUSTER_AUTHORIZATION_FAILED"},
		},
	}
}

// goldenGroups are those of version 1, then what version 2 added.
func goldenGroups() []storage.Group {
	metadata := "m\xff"
	offsets := []storage.GroupOffset{{TopicID: topicID(1), Topic: "topic-1", Partition: 1, Offset: 7, LeaderEpoch: -1, Metadata: &metadata}}
	return []storage.Group{
		{Name: "group\xff", Type: "classic", State: "Empty", ProtocolType: "consumer", Offsets: offsets},
		{Name: "group\xff-absent", Type: "consumer", AbsentSince: cutAt.Add(-time.Hour), Offsets: offsets},
		{Name: "group\xff-pending", Type: "streams", State: "Stable", Pending: []storage.GroupPartition{{Topic: "topic-1", Partition: 1}}},
	}
}

func goldenHoles() []storage.Hole {
	return []storage.Hole{{Range: storage.Range{BaseOffset: 10, EndOffset: 20}, Reason: storage.Compacted, Evidence: "cleanup.policy=compact"}}
}

// TestGoldenGoesOn: what is written behind entries of version 1 leaves them as they are, and all is
// read.
func TestGoldenGoesOn(t *testing.T) {
	dir := t.TempDir()
	noError(t, os.CopyFS(dir, os.DirFS(goldenV1)))
	b, err := filestore.OpenBucket(dir, nil)
	noError(t, err)
	defer func() { _ = b.Close() }()
	a := open(t, b)
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{})
	noError(t, err)
	_, err = w.Commit(t.Context(), storage.Change{CreatedAt: cutAt.Add(time.Hour), Groups: goldenGroups()})
	noError(t, err)
	s, err := a.Latest(t.Context(), nil)
	noError(t, err)
	got := describe(t, a, s)
	if len(got.Snapshots) != 3 || got.Info.Records != 30 || cmp.Diff(goldenGroups(), got.Groups) != "" {
		t.Errorf("%+v", got)
	}
	if problems, err := a.VerifyChain(t.Context(), lineage); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// makeGolden writes two snapshots and a flush: histories, holes, groups, the cluster.
func makeGolden(t *testing.T, dir string) {
	if _, err := os.Stat(filepath.Join(dir, "archive")); err == nil {
		t.Fatal("golden archives are never written again")
	}
	b, err := filestore.OpenBucket(dir, nil)
	noError(t, err)
	defer func() { _ = b.Close() }()
	w := newWriter(t, open(t, b), "golden")
	p, q := partition(1, 0), partition(1, 1)
	c := goldenChange()
	c.Segments = []*storage.Closed{write(t, w, 0, p, q)}
	c.Partitions = []storage.PartitionState{upTo(p, 10), upTo(q, 10)}
	_, err = w.Commit(t.Context(), c)
	noError(t, err)
	st := upTo(p, 30)
	st.Holes = goldenHoles()
	old := upTo(q, 10)
	old.Truncated = "the log end was 5"
	fresh := upTo(q, 0)
	fresh.History = 1
	c = goldenChange()
	c.Segments, c.Partitions = []*storage.Closed{write(t, w, 20, p)}, []storage.PartitionState{st, old, fresh}
	_, err = w.Commit(t.Context(), c)
	noError(t, err)
	fresh.EndOffset = 10
	_, err = w.Commit(t.Context(), storage.Change{
		CreatedAt: cutAt.Add(time.Minute), Flush: true, Segments: []*storage.Closed{write(t, w, 0, q)}, Partitions: []storage.PartitionState{fresh},
	})
	noError(t, err)
	noError(t, os.RemoveAll(filepath.Join(dir, ".kafkadr-tmp")))
}

func goldenContent(groups []storage.Group) content {
	c := goldenChange()
	state := func(p int32, history int32, end, records, bytes, maxTimestamp int64) storage.PartitionState {
		return storage.PartitionState{
			Partition: partition(1, p), History: history, EndOffset: end, LeaderEpoch: 4, Records: records, Bytes: bytes,
			MinTimestamp: 1000, MaxTimestamp: maxTimestamp, MaxBatch: int32(bytes),
		}
	}
	first := state(0, 0, 30, 20, 792, 1029)
	first.MaxBatch, first.Holes = 401, goldenHoles()
	second := state(1, 0, 10, 10, 391, 1009)
	second.Truncated = "the log end was 5"
	return content{
		Snapshots: []string{"000002-", "000003-", "000004-"},
		Info: storage.Info{
			ClusterID: lineage.ClusterID, Sequence: 4, CreatedAt: cutAt.Add(time.Minute), Flush: true, Complete: true,
			Topics: 1, Partitions: 2, Records: 30, Bytes: 1183,
		},
		Topics: c.Topics, Groups: groups, Cluster: *c.Cluster, Runs: 4,
		States:  []storage.PartitionState{first, second, state(1, 1, 10, 10, 391, 1009)},
		Batches: []goldenBatch{{0, 0, 10, false}, {0, 20, 30, false}, {1, 0, 10, false}, {1, 0, 10, false}},
	}
}
