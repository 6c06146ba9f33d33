package mm2

import (
	"testing"

	"github.com/kafkadr/kafkadr/offsets"
)

// The groups are carried over by a plan, from the target alone.
func TestPlan(t *testing.T) {
	l := oneToOne(t)
	tr := l.open(Config{})
	captured := tr.Captured()
	if len(captured.Groups) != 2 || captured.At.IsZero() || captured.Lookup("behind").Lookup("orders", 0).Offset != 600 {
		t.Fatalf("%+v", captured)
	}
	plan, err := offsets.NewGroupsPlan(t.Context(), l.cl, offsets.PlanConfig{Groups: captured, Translate: offsets.Through(tr)})
	if err != nil {
		t.Fatal(err)
	}
	if refused := plan.Refused(); len(refused) > 0 {
		t.Errorf("refused: %+v", refused)
	}
	if _, err := plan.Apply(t.Context(), l.cl, offsets.ApplyConfig{Save: func(*offsets.Before) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]int64{"behind": 600, "end": 1000} {
		committed, err := l.adm.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := committed.Lookup("A.orders", 0); o.At != want || o.Metadata != "of "+group {
			t.Errorf("%s: %+v, want %d", group, o, want)
		}
	}
}
