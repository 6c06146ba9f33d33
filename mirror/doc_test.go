package mirror

import (
	"os"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/mirror/internal/instep"
)

// The package's documentation names every config that stays behind, and every kind of event that
// stops a partition.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range instep.LeftOutConfigs() {
		if !strings.Contains(string(doc), l.Name) {
			t.Errorf("no %s in doc.go", l.Name)
		}
	}
	for _, k := range strings.Fields(strings.Trim(withPolicy(), "[]")) {
		stops := false
		for _, p := range allowed(EventKind(k)) {
			stops = stops || p == Stop
		}
		if stops && EventKind(k) != PartitionsAhead && !strings.Contains(string(doc), k) {
			t.Errorf("no %s in doc.go", k)
		}
	}
}
