package backup_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// TestRealUncleanElection lets a real cluster lose records that a follower has
// archived, and grow past them: both histories stay restorable.
func TestRealUncleanElection(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Brokers: 3})
	create(t, c, 1, 2, nil, "orders")
	create(t, c, 3, 3, nil, "others")
	a := archive(t, bucket(t))
	f := follow(t, t.Context(), backup.FollowerConfig{
		Config: backup.Config{Source: c.Opts(), Archive: a},
		Flush:  200 * time.Millisecond, Every: 2 * time.Second, Discover: 200 * time.Millisecond,
	})
	cl := client(t, c, kgo.RequiredAcks(kgo.AllISRAcks()))
	n := 0
	put := func(topic string, count int) {
		t.Helper()
		for range count {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	committed := func(records int64) {
		t.Helper()
		testkafka.Eventually(t, time.Minute, func(context.Context) error {
			if s := f.Status(); s.Records < records || s.LagRecords != 0 {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
	put("orders", 10)
	put("others", 10)
	testkafka.UncleanElection(t, c, "orders", 0, func() {
		put("orders", 5)
		committed(25)
	})
	put("orders", 20)
	put("others", 10)
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error {
		if s := f.Status(); s.Truncated != 1 || s.LagRecords != 0 || s.Faulted != 0 || s.Records < 65 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	s := f.stop(a)
	var histories []storage.PartitionState
	for h, err := range s.Histories(t.Context(), stateOf(t, s, "orders", 0).Partition) {
		if err != nil {
			t.Fatal(err)
		}
		histories = append(histories, h)
	}
	if len(histories) != 2 || histories[0].EndOffset != 15 || histories[0].Truncated == "" || histories[1].EndOffset != 30 {
		t.Fatalf("%+v", histories)
	}
	if got := records(t, s, histories[0]); len(got) != 15 {
		t.Errorf("%d records in the old history", len(got))
	}
	if diff := cmp.Diff(sourceRecords(t, c.Opts(), "orders", 0, 30), records(t, s, histories[1])); diff != "" {
		t.Error(diff)
	}
	if len(f.truncated) != 1 || f.truncated[0].ArchivedEnd != 15 || f.truncated[0].SourceEnd != 10 {
		t.Errorf("%+v", f.truncated)
	}
	verified(t, a, s)
}
