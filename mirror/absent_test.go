package mirror

import (
	"slices"
	"strings"
	"testing"
)

// A topic that was deleted while no mirror ran is told by plan, status and run, and the policy has
// its way; a Once does it as well. One of another flow, or one that was left out since, isn't told.
func TestDeletedWhileDown(t *testing.T) {
	for _, policy := range []Policy{Keep, Delete} {
		t.Run(string(policy), func(t *testing.T) {
			src, dst := pairOf(t, "gone", "left")
			cfg := quickConfig(src, dst)
			once(t, cfg)
			deleteTopic(t, src, "gone")
			cfg.Policies = Policies{TopicDeleted: policy}
			p, err := NewPlan(t.Context(), cfg)
			if err != nil || !strings.Contains(p.String(), "gone: topic_deleted") {
				t.Error(p, err)
			}
			s, err := Observe(t.Context(), cfg)
			if err != nil || s.Events[TopicDeleted] != 1 || s.Recent[0].Topic != "gone" {
				t.Error(s, err)
			}
			other := cfg
			other.Name, other.Exclude = "other", []string{"left"}
			if s := once(t, other).Status(); s.Events[TopicDeleted] != 0 {
				t.Error(s.Recent)
			}
			other.Name, other.Exclude = "", []string{"gone"}
			if s := once(t, other).Status(); s.Events[TopicDeleted] != 0 {
				t.Error(s.Recent)
			}
			if got := topicsOf(t, dst); !slices.Equal(got, []string{"gone", "left"}) {
				t.Fatal(got)
			}
			if s := once(t, cfg).Status(); s.Events[TopicDeleted] != 1 || len(s.Topics) != 1 {
				t.Error(s.Recent, s.Topics)
			}
			if got := topicsOf(t, dst); slices.Contains(got, "gone") != (policy == Keep) {
				t.Error(got)
			}
		})
	}
}
