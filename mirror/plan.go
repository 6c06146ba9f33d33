package mirror

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/quote"
)

// Plan is what a mirror would do. It prints and marshals.
type Plan struct {
	Flow          string      `json:"flow"`
	SourceCluster string      `json:"source_cluster"`
	TargetCluster string      `json:"target_cluster"`
	Topics        []TopicPlan `json:"topics"`
	// LeftOut are topics that match but wouldn't be mirrored, and why: copies that came from the
	// target, and those that are the source's own.
	LeftOut map[string]string `json:"left_out,omitempty"`
	// Records are offsets to copy until the last stable offsets of now.
	Records int64 `json:"records"`
	// HoleMethod is write_txn_markers or transactions (weaker: see DESIGN.md); RoundTrip was
	// measured on the target.
	HoleMethod string          `json:"hole_method"`
	RoundTrip  millis.Duration `json:"round_trip_ms"`
	// Warnings are what an operator should know; Conflicts are why Run would refuse.
	Warnings  []string   `json:"warnings"`
	Conflicts []Conflict `json:"conflicts"`

	beside []string // warnings that Run doesn't raise as events anyway
}

// TopicPlan is what would be done with one topic.
type TopicPlan struct {
	Source            string `json:"source"`
	Target            string `json:"target"`
	Create            bool   `json:"create"`
	ReplicationFactor int16  `json:"replication_factor"`
	// Configs are those to be set on the copy. Replaced are values that it has of its own now, of a
	// topic that exists.
	Configs  map[string]string `json:"configs,omitempty"`
	Replaced map[string]string `json:"replaced,omitempty"`
	// AddPartitions is how many partitions the copy would get.
	AddPartitions int             `json:"add_partitions,omitempty"`
	Partitions    []PartitionPlan `json:"partitions"`
}

// PartitionPlan is what would be done with one partition.
type PartitionPlan struct {
	Partition int32 `json:"partition"`
	// Method is exact, or nothing where an event would stop it at once: Event is its kind.
	Method string    `json:"method"`
	Event  EventKind `json:"event,omitempty"`
	// Position is the target's true end now: where the mirror goes on. Filler are offsets to fill
	// below the source's log start.
	Position int64 `json:"position"`
	Filler   int64 `json:"filler"`
	// LogStart, LSO are the source's; Lag are the offsets from position or log start to the last
	// stable one.
	LogStart int64 `json:"log_start"`
	LSO      int64 `json:"lso"`
	Lag      int64 `json:"lag"`
	// HoleRuns is about how many holes there are to make, each a barrier: an estimate from the
	// first megabyte of the partitions that have the most to copy.
	HoleRuns int64 `json:"hole_runs"`
}

// Conflict is a reason to refuse. Kind is same_cluster, flow (another against this one, or one that
// writes the same copy), loop, replication_factor, partitions, name, foreign_writer, hole_time,
// denied, …
type Conflict = fault.Conflict

// String is the plan as text for people: what Run would do, then warnings and conflicts.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "flow %s: cluster %s to cluster %s\n", p.Flow, p.SourceCluster, p.TargetCluster)
	for i := range p.Topics {
		p.Topics[i].text(&b)
	}
	for _, name := range slices.Sorted(maps.Keys(p.LeftOut)) {
		fmt.Fprintf(&b, "left out: %s: %s\n", quote.Name(name), p.LeftOut[name])
	}
	fmt.Fprintf(&b, "%d offsets to copy; holes by %s, a round trip takes %s\n", p.Records, p.HoleMethod, p.RoundTrip.Round(time.Microsecond))
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "conflict: %s\n", c)
	}
	return b.String()
}

func (t *TopicPlan) text(b *strings.Builder) {
	verb := "go on with"
	if t.Create {
		verb = "create"
	}
	fmt.Fprintf(b, "%s %s", verb, quote.Name(t.Target))
	if t.Source != t.Target {
		fmt.Fprintf(b, " from %s", quote.Name(t.Source))
	}
	fmt.Fprintf(b, ": %d partitions, %d replicas\n", len(t.Partitions), t.ReplicationFactor)
	for _, name := range slices.Sorted(maps.Keys(t.Replaced)) {
		fmt.Fprintf(b, "  %s=%s is replaced by %s\n", name, t.Replaced[name], t.Configs[name])
	}
	for _, p := range t.Partitions {
		switch {
		case p.Event != "":
			fmt.Fprintf(b, "  %d: at %d: %s\n", p.Partition, p.Position, p.Event)
		case p.Lag > 0 || p.Filler > 0:
			fmt.Fprintf(b, "  %d: from %d to %d, %d offsets, about %d holes, %d filler\n", p.Partition, p.Position, p.LSO, p.Lag, p.HoleRuns, p.Filler)
		}
	}
}
