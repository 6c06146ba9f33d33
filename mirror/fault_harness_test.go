package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestFaultHarness: a cluster equals itself while it is written to and afterwards; and each way in
// which a copy can be wrong is a difference.
func TestFaultHarness(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	l := startLoad(t, kafka, kafka, "own.", 1, 30*time.Millisecond)
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		if n := l.writes.Load(); n < 300 {
			return fmt.Errorf("%d writes", n)
		}
		return nil
	})
	l.compare(kafka, "", time.Minute, false, false)
	l.finish()
	l.compare(kafka, "", time.Minute, true, false)

	content := l.capture()
	for _, topic := range l.topics {
		if len(content.Topics[topic.name][0].Records) < 10 {
			t.Errorf("%s/0 holds %d records", topic.name, len(content.Topics[topic.name][0].Records))
		}
	}
	for name, spoil := range map[string]func(p *testkafka.Partition){
		"lost": func(p *testkafka.Partition) { p.Records = slices.Delete(p.Records, len(p.Records)-1, len(p.Records)) },
		"doubled": func(p *testkafka.Partition) {
			r := p.Records[len(p.Records)-1]
			r.Offset++
			p.Records, p.End = append(p.Records, r), p.End+1
		},
		"changed": func(p *testkafka.Partition) { p.Records[len(p.Records)/2].Value++ },
		"shifted": func(p *testkafka.Partition) {
			for i := range p.Records {
				p.Records[i].Offset++
			}
		},
		"short": func(p *testkafka.Partition) { p.End-- },
	} {
		for _, topic := range l.topics {
			got := clone(content)
			spoil(got.Topics[topic.name][0])
			if len(l.differences(content, got, true)) == 0 {
				t.Errorf("%s: %s isn't seen", topic.name, name)
			}
			if name != "lost" && len(l.differences(content, got, false)) == 0 {
				t.Errorf("%s: %s isn't seen while the load goes on", topic.name, name)
			}
		}
	}
}

func clone(c *testkafka.Content) *testkafka.Content {
	out := &testkafka.Content{Topics: map[string]map[int32]*testkafka.Partition{}}
	for n, ps := range c.Topics {
		out.Topics[n] = maps.Clone(ps)
		for i, p := range ps {
			q := *p
			q.Records = slices.Clone(p.Records)
			out.Topics[n][i] = &q
		}
	}
	return out
}
