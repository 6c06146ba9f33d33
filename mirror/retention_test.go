package mirror

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// The standby's brokers have a shorter retention by default: the copy gets the source's, which is
// planned, and keeps its records.
func TestRealDefaultRetention(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Real(t, testkafka.Options{Configs: map[string]string{"log.retention.ms": "3600000"}})
	create(t, src, 1, nil, "t")
	var rs []*kgo.Record
	for i := range 100 {
		rs = append(rs, &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: time.Now().Add(-2*time.Hour + time.Duration(i)*time.Second)})
	}
	if err := testkafka.Client(t, src).ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(t.Context(), quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.String(), "retention.ms=604800000") || !strings.Contains(p.String(), "3600000") {
		t.Errorf("%s", p)
	}
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "t")
	r.until("the source's retention", func(Status) bool { return ownConfigs(t, dst, "t")["retention.ms"] == "604800000" })
	r.stop()
	same(t, src, dst, []string{"t"})
}

// A copy that is cut by somebody else is said to be, with both log starts, once.
func TestStandbyTrimmed(t *testing.T) {
	src, dst := pairOf(t, "t")
	said := make(chan Event, 10)
	cfg := quickConfig(src, dst)
	cfg.Hooks.OnEvent = func(ev Event) {
		if ev.Kind == StandbyTrimmed {
			said <- ev
		}
	}
	r := start(t, cfg)
	r.caughtUp(src, "t")
	deleteBeforeAt(t, dst, "t", 7)
	if ev := <-said; ev.Offset != 7 || ev.Other != 0 || ev.Topic != "t" {
		t.Errorf("%+v", ev)
	}
	deleteBeforeAt(t, src, "t", 9) // what follows is right
	r.until("the log start", func(s Status) bool {
		os, err := kadm.NewClient(testkafka.Client(t, dst)).ListStartOffsets(t.Context(), "t")
		o, _ := os.Lookup("t", 0)
		return err == nil && o.Offset == 9
	})
	r.stop()
	if len(said) > 0 {
		t.Errorf("and %+v", <-said)
	}
}
