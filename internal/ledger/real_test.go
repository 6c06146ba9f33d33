package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// The broker's own cleaner keeps each key's last value and what was removed stays so, for those who
// read from the start and those who read on.
func TestRealCompaction(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"log.cleaner.backoff.ms": "500"}})
	l, late := open(t, cl), open(t, cl)
	put(t, l, map[string]any{"first": note{Offset: 1}})
	if err := late.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	small, roll, none := "1048576", "500", "0"
	adm := kadm.NewClient(testkafka.Client(t, cl))
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "segment.bytes", Value: &small}, {Op: kadm.SetConfig, Name: "segment.ms", Value: &roll},
		{Op: kadm.SetConfig, Name: "delete.retention.ms", Value: &none},
	}, ledger.Topic); err != nil {
		t.Fatal(err)
	}
	expect := map[string]note{"first": {Offset: 1}}
	i := int64(0)
	write := func() {
		entries := map[string]any{"removed": note{Offset: i}}
		for k := range 40 {
			key := fmt.Sprintf("key/%d", k)
			n := note{Offset: i, Text: fmt.Sprintf("%d", i)}
			entries[key], expect[key] = n, n
		}
		put(t, l, entries)
		i++
	}
	for range 20 {
		write()
	}
	put(t, l, map[string]any{"removed": nil})
	testkafka.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
		put(t, l, map[string]any{"tick": note{Offset: i}}) // a segment rolls when something is appended
		i++
		if n := recordsOf(t, cl); n > 400 {
			return fmt.Errorf("%d records: not compacted", n)
		}
		return nil
	})
	expect["tick"] = note{Offset: i - 1}
	if err := late.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*ledger.Ledger{l, late, open(t, cl)} {
		want(t, l, "", expect)
	}
}

// recordsOf counts the records that are in the topic.
func recordsOf(t *testing.T, cl testkafka.Cluster) int {
	t.Helper()
	end, err := kadm.NewClient(testkafka.Client(t, cl)).ListEndOffsets(t.Context(), ledger.Topic)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := end.Lookup(ledger.Topic, 0)
	c := testkafka.Client(t, cl, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{ledger.Topic: {0: kgo.NewOffset().AtStart()}}))
	n := 0
	for last := int64(-1); last < o.Offset-1; {
		fs := c.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { n++; last = r.Offset })
	}
	return n
}
