package mirror

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// mark appends a marker: an offset that no consumer sees, as one that came late would.
func mark(t testing.TB, cl testkafka.Cluster, topic string) {
	t.Helper()
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.Committed = 1<<40, true
	mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	mt.Topic, mt.Partitions = topic, []int32{0}
	m.Topics = append(m.Topics, mt)
	req.Markers = append(req.Markers, m)
	c := testkafka.Client(t, cl)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DiscoveredBrokers()[0].Request(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}
