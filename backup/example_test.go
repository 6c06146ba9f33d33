package backup_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

// A snapshot is taken, then another that reads only what is new; both are
// checked.
func Example() {
	ctx := context.Background()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	source := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	producer, err := kgo.NewClient(append(source, kgo.DefaultProduceTopic("orders"))...)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()

	bucket := memblob.OpenBucket(nil) // or file:///backups, s3://…
	defer func() { _ = bucket.Close() }()
	archive, err := storage.Open(ctx, bucket, storage.Config{})
	if err != nil {
		log.Fatal(err)
	}

	for _, value := range []string{"first", "second"} {
		if err := producer.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			log.Fatal(err)
		}
		result, err := backup.Run(ctx, backup.Config{Source: source, Archive: archive, Topics: []string{"orders"}})
		if err != nil {
			log.Fatal(err)
		}
		snapshot, err := archive.Latest(ctx, nil)
		if err != nil {
			log.Fatal(err)
		}
		report, err := backup.Verify(ctx, archive, snapshot, backup.VerifyOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d record read, %d in the snapshot, %d problems\n", result.Records, report.Records, len(report.Problems))
	}
	// Output:
	// 1 record read, 1 in the snapshot, 0 problems
	// 1 record read, 2 in the snapshot, 0 problems
}
