package restoretest_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/restore/restoretest"
)

// exampleT stands in for the *testing.T that a test has.
type exampleT struct {
	ctx      context.Context
	cleanups []func()
}

func (t *exampleT) Helper()                           {}
func (t *exampleT) Context() context.Context          { return t.ctx }
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func (t *exampleT) end() {
	for _, f := range t.cleanups {
		f()
	}
}

// A test writes an archive once, and consumes it from an in-process cluster, with offsets and
// committed offsets as they were.
func Example() {
	t := &exampleT{ctx: context.Background()}
	defer t.end()
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	restoretest.Write(t, dir, restoretest.Topic{
		Name: "orders",
		Records: []*kgo.Record{
			{Offset: 40, Key: []byte("a"), Value: []byte("first")},
			{Offset: 41, Key: []byte("b"), Value: []byte("second")},
			{Offset: 45, Key: []byte("a"), Value: []byte("third")},
		},
		Groups: map[string]map[int32]int64{"billing": {0: 41}},
	})
	addrs := restoretest.Load(t, os.DirFS(dir))

	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer cl.Close()
	for seen := 0; seen < 2; {
		cl.PollFetches(t.ctx).EachRecord(func(r *kgo.Record) {
			fmt.Printf("%d: %s\n", r.Offset, r.Value)
			seen++
		})
	}
	// Output:
	// 41: second
	// 45: third
}
