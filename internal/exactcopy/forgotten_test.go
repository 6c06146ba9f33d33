package exactcopy

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestForgotten: a leader forgets producers of old data while a batch's answer is lost. It would take the batch a second time.
func TestForgotten(t *testing.T) {
	kafka := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"producer.id.expiration.check.interval.ms": "200"}})
	admin := connect(t, kafka, Config{})
	var ps kadm.TopicsSet
	ps.Add("t", 0)
	forgotten := func() bool {
		got, err := admin.cluster.Admin().DescribeProducers(t.Context(), ps)
		admin.must(err)
		return len(got["t"].Partitions[0].ActiveProducers) == 0
	}
	lost := 0
	c := &cutter{key: kmsg.Produce, every: 3, after: true}
	tg := connect(t, kafka, Config{JoinBelow: -1, OnRetry: func(op string, _ error) {
		if op == "produce" {
			lost++
			await(t, forgotten)
		}
	}}, c.opt())
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 8, 4)
	tg.must(p.Flush(t.Context(), true))
	if lost < 3 {
		t.Errorf("%d answers lost", lost)
	}
	await(t, forgotten)
	p = tg.opened(tg.newCopier(Config{}), name)
	kinds = append(kinds, tg.appendAll(p, 2, 4)...)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}
