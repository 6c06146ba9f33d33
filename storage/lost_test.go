package storage

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// lossy is a manifest in memory, of which one node can't be read.
type lossy struct {
	raw   []byte
	nodes []int64 // where they lie
	bad   int64   // where the one lies that can't be read
}

func (m *lossy) load(_ context.Context, r tree.Ref) ([]byte, error) {
	if r.Position == m.bad {
		return nil, &DamageError{Object: "entry", Err: errMissing}
	}
	return m.raw[r.Position:][:r.Length], nil
}

const (
	lossyPartitions = 20
	lossyHistories  = 3
	lossyRuns       = 60 // of each partition's newest history
)

func newLossy(t *testing.T) (m *lossy, root tree.Ref) {
	t.Helper()
	m = &lossy{bad: -1}
	tr := tree.At(m.load, tree.Ref{})
	for i := range int32(lossyPartitions) {
		p := segment.Partition{Topic: kadm.TopicID{1}, Partition: i}
		for h := range int32(lossyHistories) {
			st := &state{PartitionState: PartitionState{Partition: p, History: h, EndOffset: 10 * lossyRuns}}
			if err := tr.Set(t.Context(), stateKey(p, h), st.encode()); err != nil {
				t.Fatal(err)
			}
		}
		for n := range int64(lossyRuns) {
			r := &storedRun{RunInfo: segment.RunInfo{Partition: p, BaseOffset: 10 * n, EndOffset: 10*n + 10, Records: 10, Block: segment.Block{Length: 1}}, History: lossyHistories - 1, Generation: 1, Number: n}
			if err := tr.Set(t.Context(), runKey(p, r.History, r.BaseOffset), r.encode()); err != nil {
				t.Fatal(err)
			}
		}
	}
	root, err := tr.Write(func(raw []byte) (tree.Ref, error) {
		r := tree.Ref{Entry: 1, Position: int64(len(m.raw)), Length: int64(len(raw))}
		m.raw = append(m.raw, raw...)
		m.nodes = append(m.nodes, r.Position)
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, root
}

// TestLostNodes loses each node of a manifest in turn. No older history passes for the newest; each
// run is yielded or within the offsets that an error has, never neither, and never both.
func TestLostNodes(t *testing.T) {
	m, root := newLossy(t)
	most := 0
	s := &Snapshot{l: Lineage{ClusterID: "c"}, tree: tree.At(m.load, root)}
	for _, m.bad = range m.nodes {
		lost := 0
		var seen []int32
		for p, err := range s.Partitions(t.Context(), kadm.TopicID{1}) {
			if err != nil {
				lost++
				continue
			}
			if p.History != lossyHistories-1 {
				t.Errorf("node at %d: history %d of %v passes for the newest", m.bad, p.History, p.Partition)
			}
			seen = append(seen, p.Partition.Partition)
		}
		if !slices.IsSorted(seen) || len(slices.Compact(seen)) != len(seen) || (len(seen) == lossyPartitions) != (lost == 0) {
			t.Errorf("node at %d: partitions %v, %d errors", m.bad, seen, lost)
		}
		for i := range int32(lossyPartitions) {
			n, err := lostRunsOf(t, s, segment.Partition{Topic: kadm.TopicID{1}, Partition: i})
			if err != nil {
				t.Errorf("node at %d: partition %d: %v", m.bad, i, err)
			}
			lost += n
		}
		most = max(most, lost)
	}
	if most == 0 {
		t.Error("nothing was lost")
	}
}

// lostRunsOf counts the lost runs, from each offset on.
func lostRunsOf(t *testing.T, s *Snapshot, p segment.Partition) (lost int, err error) {
	t.Helper()
	for _, from := range []int64{0, 55, 10*lossyRuns - 1} {
		state := map[int64]int{} // 1 for a run that is there, 2 for one that is lost
		for r, err := range s.Runs(t.Context(), p, lossyHistories-1, from) {
			if err == nil {
				state[r.BaseOffset]++
				continue
			}
			l, ok := LostRuns(err)
			if !ok || l.Partition != p || l.EndOffset <= from {
				return lost, fmt.Errorf("from %d: %+v, %w", from, l, err)
			}
			for base := int64(0); base < 10*lossyRuns; base += 10 {
				if base >= l.BaseOffset && base < l.EndOffset {
					state[base] += 2
				}
			}
		}
		for base := from / 10 * 10; base < 10*lossyRuns; base += 10 {
			if state[base] != 1 && state[base] != 2 {
				return lost, fmt.Errorf("from %d: the run at %d: %d", from, base, state[base])
			}
			if from == 0 && state[base] == 2 {
				lost++
			}
		}
	}
	return lost, nil
}
