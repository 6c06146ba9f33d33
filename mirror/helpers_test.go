package mirror

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func commit(t testing.TB, cl testkafka.Cluster, group, topic string, at int64) {
	t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, At: at, LeaderEpoch: -1})
	if err := kadm.NewClient(testkafka.Client(t, cl)).CommitAllOffsets(t.Context(), group, os); err != nil {
		t.Fatal(err)
	}
}

// committed is a group's offset, or -1.
func committed(t testing.TB, cl testkafka.Cluster, group, topic string) int64 {
	t.Helper()
	os, err := kadm.NewClient(testkafka.Client(t, cl)).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := os.Lookup(topic, 0); ok {
		return o.At
	}
	return -1
}

// transaction writes n records and ends.
func transaction(t testing.TB, cl testkafka.Cluster, topic string, n int, commit bool) {
	t.Helper()
	c, err := kgo.NewClient(append(cl.Opts(), kgo.TransactionalID("t-"+topic), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}
