package restore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/restore/restoretest"
	"github.com/kafkadr/kafkadr/storage"
)

// Records are appended to a topic that is in use already, and what is noted there says where each
// went.
func Example_translated() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	restoretest.Write(exampleT{}, dir, restoretest.Topic{Name: "orders", Records: []*kgo.Record{
		{Offset: 7, Value: []byte("a cup")},
		{Offset: 9, Value: []byte("a saucer")},
	}})
	archive, err := storage.OpenFS(os.DirFS(dir))
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := archive.Latest(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}

	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		log.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		log.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("a kettle")}).FirstErr(); err != nil {
		log.Fatal(err)
	}

	plan, err := restore.NewPlan(ctx, restore.Config{
		Target:      []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)},
		Snapshot:    snapshot,
		Offsets:     restore.Translated,
		SourceAlias: "old",
	})
	if err != nil {
		log.Fatal(err)
	}
	result, err := plan.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("appended:", result.Records)

	where, err := offsets.Open(ctx, cl, "old")
	if err != nil {
		log.Fatal(err)
	}
	for _, offset := range []int64{7, 8, 9, 10} {
		t, err := where.Translate(ctx, "orders", 0, offset)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(offset, "is", t.Offset, t.How)
	}
	// Output:
	// appended: 2
	// 7 is 1 exact
	// 8 is 2 next
	// 9 is 2 exact
	// 10 is 3 exact
}
