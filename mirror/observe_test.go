package mirror

import (
	"errors"
	"slices"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func TestObserve(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 2, nil, "good", "bad")
	produce(t, src, "good", 2, 10)
	produce(t, src, "bad", 2, 10)
	cfg := quickConfig(src, dst)
	if _, err := Observe(t.Context(), cfg); !errors.Is(err, ErrNoFlow) {
		t.Fatal(err)
	}
	cfg.Prefix, cfg.Exclude = "A.", []string{"other.*"}
	once(t, cfg)
	create(t, src, 1, nil, "other")
	produce(t, src, "good", 2, 5)
	produce(t, dst, "A.bad", 1, 1)
	s, err := Observe(t.Context(), quickConfig(src, dst))
	if err != nil {
		t.Fatal(err)
	}
	if s.LagRecords != 10 || s.LagMillis <= 0 || s.RPO.Records != 10 || s.RPO.Unknown != 0 || s.Stopped != 1 || s.Copying != 3 || len(s.Topics) != 2 {
		t.Errorf("%+v", s)
	}
	if p, ok := find(*s, "bad", 0); !ok || p.State != Stopped || p.Event.Kind != ForeignWriter || p.Event.Target != "A.bad" {
		t.Errorf("%+v", p)
	}
	if p, ok := find(*s, "good", 1); !ok || p.Position != 10 || p.Durable != 10 || p.SourceLSO != 15 {
		t.Errorf("%+v", p)
	}
	names, err := Flows(t.Context(), quickConfig(src, dst))
	if err != nil || !slices.Equal(names, []string{"mirror"}) {
		t.Error(names, err)
	}
}
