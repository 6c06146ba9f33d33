package restore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/restore/restoretest"
	"github.com/kafkadr/kafkadr/storage"
)

// exampleT stands in for the *testing.T that a test has.
type exampleT struct{}

func (exampleT) Helper()                           {}
func (exampleT) Context() context.Context          { return context.Background() }
func (exampleT) Cleanup(func())                    {}
func (exampleT) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

// A snapshot comes back under other names, as it was an instant ago.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	restoretest.Write(exampleT{}, dir, restoretest.Topic{Name: "orders", Records: []*kgo.Record{
		{Offset: 7, Timestamp: noon, Value: []byte("a cup")},
		{Offset: 8, Timestamp: noon.Add(time.Second), Value: []byte("a saucer")},
		{Offset: 9, Timestamp: noon.Add(time.Hour), Value: []byte("a mistake")},
	}})

	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	archive, err := storage.OpenFS(os.DirFS(dir))
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := archive.Latest(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}

	plan, err := restore.NewPlan(ctx, restore.Config{
		Target:   []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)},
		Snapshot: snapshot,
		Prefix:   "restored.",
		Until:    noon.Add(time.Minute),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range plan.Topics {
		for _, p := range t.Partitions {
			fmt.Printf("plan: %s/%d from %d to %d, %d holes\n", t.Topic, p.Partition, p.StartOffset, p.EndOffset, p.HoleRuns)
		}
	}
	result, err := plan.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored:", result.Records, "records")
	// Output:
	// plan: restored.orders/0 from 0 to 9, 1 holes
	// restored: 2 records
}

// Records reads an archive with no cluster.
func ExampleRecords() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	restoretest.Write(exampleT{}, dir, restoretest.Topic{Name: "orders", Records: []*kgo.Record{
		{Value: []byte("a cup")}, {Value: []byte("a saucer")},
	}})
	archive, err := storage.OpenFS(os.DirFS(dir))
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := archive.Latest(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	for r, err := range restore.Records(ctx, snapshot, restore.Query{Topic: "orders", Offset: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s/%d at %d: %s\n", r.Topic, r.Partition, r.Offset, r.Value)
	}
	// Output:
	// orders/0 at 1: a saucer
}
