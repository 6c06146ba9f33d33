package offsets

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

var (
	_ Translator = Exact{}
	_ Translator = (*Maps)(nil)
)

func TestExact(t *testing.T) {
	prefixed := Exact{Rename: func(topic string) string { return "A." + topic }}
	for _, c := range []struct {
		tr   Translator
		at   int64
		want Translated
	}{
		{Exact{}, 7, Translated{"orders", 3, 7, HowExact, "exact copy: the same offset"}},
		{prefixed, 0, Translated{"A.orders", 3, 0, HowExact, "exact copy: the same offset"}},
		{prefixed, -1, Translated{"A.orders", 3, -1, HowUnknown, "no offset is negative"}},
	} {
		if got, err := c.tr.Translate(t.Context(), "orders", 3, c.at); err != nil || got != c.want {
			t.Error(got, err)
		}
	}
}

func TestMaps(t *testing.T) {
	id := testID
	id.Partition, id.TargetTopic = 4, "another"
	other, err := Identity(id, 0, 9)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := NewMaps(testMap(t), nil, other)
	if err != nil {
		t.Fatal(err)
	}
	const evidence = "map of source topic ID AQAAAAAAAAAAAAAAAAAAAA==: 5 to 30 is 100 to 120 in 2 runs"
	for _, c := range []struct {
		tr        Translator
		partition int32
		at        int64
		want      Translated
	}{
		{maps, 3, 15, Translated{"copy", 3, 110, HowNext, evidence}},
		{maps, 4, 8, Translated{"another", 4, 8, HowExact, "map of source topic ID AQAAAAAAAAAAAAAAAAAAAA==: 0 to 9 is 0 to 9 in 1 runs"}},
		{maps, 3, -1, Translated{"copy", 3, -1, HowUnknown, evidence}},
		{maps, 5, 1, Translated{"", 5, -1, HowUnknown, "no map for this partition"}},
		{new(Maps), 3, 15, Translated{"", 3, -1, HowUnknown, "no map for this partition"}},
		{(*Maps)(nil), 3, 15, Translated{"", 3, -1, HowUnknown, "no map for this partition"}},
	} {
		if got, err := c.tr.Translate(t.Context(), "orders", c.partition, c.at); err != nil || got != c.want {
			t.Error(got, err)
		}
	}
}

// TestMapsOfSeveral: a name must say which map is meant.
func TestMapsOfSeveral(t *testing.T) {
	for name, edit := range map[string]func(*ID){
		"another incarnation": func(id *ID) { id.SourceTopicID = kadm.TopicID{7} },
		"another copy":        func(id *ID) { id.TargetTopic = "copy2" },
		"another cluster":     func(id *ID) { id.SourceCluster, id.Partition = "B", 9 },
		"twice the same":      func(*ID) {},
	} {
		id := testID
		edit(&id)
		m, err := New(id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var several *IncarnationError
		if _, err := NewMaps(testMap(t), m); !errors.As(err, &several) || several.Want != id {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTranslatedJSON(t *testing.T) {
	b, err := json.Marshal(Translated{"copy", 3, 110, HowBeforeStart, "e"})
	if want := `{"topic":"copy","partition":3,"offset":110,"how":"before_start","evidence":"e"}`; err != nil || string(b) != want {
		t.Error(string(b), err)
	}
}
