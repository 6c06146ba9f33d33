package restore

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/storage"
)

// readAll collects the places of a query's records by partition.
func readAll(t testing.TB, s *storage.Snapshot, q Query) map[int32][]opstest.Place {
	t.Helper()
	got := map[int32][]opstest.Place{}
	for r, err := range Records(t.Context(), s, q) {
		if err != nil {
			t.Fatal(err)
		}
		got[r.Partition] = append(got[r.Partition], opstest.Place{
			Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers),
		})
	}
	return got
}

// Records yields what a restore would bring back, from any offset, with no cluster.
func TestRecords(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 9))
		topics := randomTopics(t, r, "a", "b")
		s := fakeArchive(t, nil, topics...)
		from := r.Int64N(2000)
		until := time.UnixMilli(1000 + r.Int64N(100))
		for p, h := range topics[1].partitions {
			places, _ := opstest.Expected(t, h, copyops.Filter{Until: until})
			var want []opstest.Place
			for _, pl := range places {
				if !pl.Hole && pl.Offset >= from {
					want = append(want, pl)
				}
			}
			got := readAll(t, s, Query{Topic: "b", Partitions: []int32{int32(p)}, Offset: from, Until: until})
			if diff := cmp.Diff(want, got[int32(p)], cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d: %s", seed, diff)
			}
		}
	}
}

func TestRecordsUncommitted(t *testing.T) {
	h := plain(t, 0, 3, 2)
	opstest.SetAttributes(h.Batches[1].Raw, 0x10)
	h.Batches[1].Aborted = true
	s := fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{h}})
	if got := readAll(t, s, Query{Topic: "t"}); len(got[0]) != 4 {
		t.Errorf("%d records, want 4", len(got[0]))
	}
	if got := readAll(t, s, Query{Topic: "t", Uncommitted: true}); len(got[0]) != 6 {
		t.Errorf("%d records, want 6", len(got[0]))
	}
}

func TestRecordsErrors(t *testing.T) {
	s, b := fakeBucket(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 200, 10)}})
	var unknown *UnknownTopicError
	for _, err := range Records(t.Context(), s, Query{Topic: "x"}) {
		if !errors.As(err, &unknown) {
			t.Error(err)
		}
	}
	var none *UnknownPartitionError
	for _, err := range Records(t.Context(), s, Query{Topic: "t", Partitions: []int32{0, 1}}) {
		if !errors.As(err, &none) || none.Partition != 1 {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range Records(ctx, s, Query{Topic: "t"}) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for range Records(t.Context(), s, Query{Topic: "t"}) {
		break // leaves nothing behind: see TestMain
	}
	damage(t, b, s)
	var damaged *storage.DamageError
	var last error
	for _, err := range Records(t.Context(), s, Query{Topic: "t"}) {
		last = err
	}
	if !errors.As(last, &damaged) {
		t.Errorf("%v, want a DamageError", last)
	}
}
