package fault_test

import (
	"io"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/mirror"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
)

// TestHostileNames: names that would end a line, drive a terminal or pass for a flag are literals
// in all texts.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{"a\nconflict: b", "a\x1b[2J", "-rf", "two words", "\xff", "it's"} {
		literal := func(job, text string, lines int) {
			t.Helper()
			if strings.Count(strings.TrimSuffix(text, "\n"), "\n") != lines-1 || strings.ContainsAny(text, "\x1b") || strings.Contains(text, "\xff") || !strings.Contains(text, `"`) {
				t.Errorf("%s: %q", job, text)
			}
		}
		refusal := offsets.Refusal{Group: name, Why: offsets.WhyActive, Detail: "d"}
		literal("refusal", refusal.String(), 1)
		literal("refused", (&offsets.RefusedError{Refused: []offsets.Refusal{refusal}}).Error(), 1)
		literal("group", (&offsets.GroupError{Group: name, Op: "fetch", Err: io.EOF}).Error(), 1)
		literal("conflict", (&restore.Conflict{Topic: name, Partition: -1, Kind: "k", Detail: "d"}).String(), 1)
		literal("partition", (&fault.PartitionError{Job: "backup", Topic: name, Err: io.EOF}).Error(), 1)
		literal("event", mirror.Event{Kind: mirror.Denied, Group: name, Partition: -1, Detail: "d"}.String(), 1)
		literal("event", mirror.Event{Kind: mirror.Denied, Topic: name, Partition: 3, Offset: 7, Detail: "d"}.String(), 1)
		literal("raw", rawkafka.Partition{Topic: name}.String(), 1)
		literal("plan", (&restore.Plan{Topics: []restore.TopicPlan{{Topic: name, Source: name}}}).String(), 3)
		literal("mirror's plan", (&mirror.Plan{Topics: []mirror.TopicPlan{{Target: name, Source: name}}, LeftOut: map[string]string{name: "why"}}).String(), 4)
		literal("groups' plan", (&offsets.GroupsPlan{Groups: []offsets.GroupPlan{{Group: name}}}).String(), 3)
	}
}
