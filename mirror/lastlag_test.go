package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// What a mirror lacks is noted on the standby, where it is found when the source is gone; a source
// that is silent isn't taken for one that has nothing new.
func TestLastLag(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "bad", "good")
	produce(t, src, "good", 1, 10)
	produce(t, src, "bad", 1, 10)
	cfg := quickConfig(src, dst)
	once(t, cfg)
	if flows, err := Announced(t.Context(), cfg); err != nil || len(flows) != 1 || flows[0].LastLag != nil {
		t.Fatal(flows, err)
	}
	produce(t, dst, "bad", 1, 1) // stops it
	produce(t, src, "bad", 1, 5)
	cfg.tuning.lag = 20 * time.Millisecond
	r := start(t, cfg)
	r.caughtUp(src, "good")
	r.until("the foreign writer", func(s Status) bool { return s.Stopped == 1 && s.RPO.SourceAgeMillis >= 0 })
	noted := r.lastLag(cfg, func(l LastLag) bool {
		return l.Unknown == 1 && l.SourceAgeMillis >= 0 && len(l.Partitions) == 1 && l.AgeMillis > 0
	})
	if p := noted.Partitions[0]; p.Topic != "bad" || p.Partition != 0 || p.Records < 4 || p.AgeMillis <= 0 || noted.Records != p.Records || time.Since(noted.At) > time.Minute {
		t.Errorf("%+v", noted)
	}
	for _, b := range src.Brokers() {
		src.Pause(t, b)
	}
	gone := time.Now()
	r.until("the silence", func(s Status) bool { return s.RPO.SourceAgeMillis >= 1500 })
	if time.Since(gone) < time.Second {
		t.Error("silent for 1.5 s a second after it was heard")
	}
	noted = r.lastLag(cfg, func(l LastLag) bool { return l.SourceAgeMillis >= 1500 })
	if heard := noted.At.Add(-time.Duration(noted.SourceAgeMillis) * time.Millisecond); heard.After(gone.Add(time.Second)) {
		t.Errorf("heard at %s, gone since %s", heard, gone)
	}
	if err := RetireFrom(t.Context(), cfg, src.ID()); err != nil {
		t.Fatal(err)
	}
	for _, b := range src.Brokers() {
		src.Resume(t, b)
	}
	r.until("hearing it again", func(s Status) bool { return s.RPO.SourceAgeMillis < 1500 })
}

// lastLag waits until what is noted on the standby is so.
func (r *running) lastLag(cfg Config, is func(LastLag) bool) LastLag {
	r.Helper()
	var last LastLag
	testkafka.Eventually(r, time.Minute, func(ctx context.Context) error {
		flows, err := Announced(ctx, cfg)
		if err != nil || len(flows) != 1 {
			return fmt.Errorf("%v: %w", flows, err)
		}
		if flows[0].LastLag == nil || !is(*flows[0].LastLag) {
			return fmt.Errorf("%+v is noted", flows[0].LastLag)
		}
		last = *flows[0].LastLag
		return nil
	})
	return last
}

// The longest names and many partitions fit into an entry; those that lack the most are in it.
func TestLastLagBounded(t *testing.T) {
	s := Status{RPO: RPO{Records: 1}}
	for i := range 100 {
		ts := TopicStatus{Source: fmt.Sprintf("%03d%s", i, strings.Repeat("x", 246))}
		for p := range int32(100) {
			ts.Detail = append(ts.Detail, PartitionStatus{Partition: p, SourceHighWatermark: int64(100*i) + int64(p), LagMillis: 1 << 50})
		}
		s.Topics = append(s.Topics, ts)
	}
	l := lastLag(s, time.Now())
	if len(l.Partitions) != lagPartitions || l.Partitions[0].Records != 9999 || l.Partitions[lagPartitions-1].Records != 9000 {
		t.Error(len(l.Partitions), l.Partitions[0], l.Partitions[len(l.Partitions)-1])
	}
	raw, err := json.Marshal(l)
	if err != nil || len(raw) > ledger.MaxValue/2 {
		t.Error(len(raw), err)
	}
}
