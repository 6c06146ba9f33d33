package testkafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func losesRecords(t *testing.T, cl Cluster) {
	c := Client(t, cl, kgo.RequiredAcks(kgo.AllISRAcks()))
	adm := kadm.NewClient(c)
	if _, err := adm.CreateTopic(t.Context(), 1, 2, nil, "unclean"); err != nil {
		t.Fatal(err)
	}
	produce := func(n int) {
		t.Helper()
		for range n {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "unclean", Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(10)
	UncleanElection(t, cl, "unclean", 0, func() { produce(5) })
	ends, err := adm.ListEndOffsets(t.Context(), "unclean")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("unclean", 0); o.Offset != 10 {
		t.Fatalf("the log ends at %d, want 10", o.Offset)
	}
}

// TestCompactedBatches looks at what the real cleaner left on disk: empty batches and batches with
// holes.
func TestCompactedBatches(t *testing.T) {
	cl := pool.Real(t, Options{})
	if _, err := kadm.NewClient(Client(t, cl)).DeleteTopics(t.Context(), "hard.compacted"); err != nil {
		t.Fatal(err)
	}
	Load(t, cl, Hard{Only: []string{"compacted"}})
	dump := DumpLog(t, LogFiles(t, cl, cl.Brokers()[0], "hard.compacted-0")...)
	for _, want := range []string{
		"baseOffset: 0 lastOffset: 1 count: 0 ", // kept, empty
		"baseOffset: 2 lastOffset: 4 count: 1 ", // holes first and last
		"baseOffset: 5 lastOffset: 7 count: 2 ", // a hole inside
	} {
		if !strings.Contains(dump, want) {
			t.Errorf("no batch with %q", want)
		}
	}
	if strings.Contains(dump, "baseOffset: 8 ") {
		t.Error("the batch at 8 is still there")
	}
	if t.Failed() {
		t.Log(dump)
	}
}
