package restore

import (
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/offsets"
)

// Plan is what a restore would do. It prints and marshals.
type Plan struct {
	Snapshot      string `json:"snapshot"`
	SourceCluster string `json:"source_cluster"`
	TargetCluster string `json:"target_cluster"`
	// Offsets is exact or translated.
	Offsets string      `json:"offsets"`
	Topics  []TopicPlan `json:"topics"`
	Groups  []GroupPlan `json:"groups,omitempty"`
	ACLs    int         `json:"acls,omitempty"`
	Records int64       `json:"records"`
	Bytes   int64       `json:"bytes"`
	// HoleMethod is write_txn_markers or transactions (weaker: see DESIGN.md), empty where Offsets
	// is translated; RoundTrip was measured on the target.
	HoleMethod    string          `json:"hole_method"`
	RoundTrip     millis.Duration `json:"round_trip_ms"`
	EstimatedTime millis.Duration `json:"estimated_time_ms"`
	// Warnings are what an operator should know; Conflicts are why Run would refuse.
	Warnings  []string   `json:"warnings"`
	Conflicts []Conflict `json:"conflicts"`

	job *job
}

// TopicPlan is what would be done with one topic.
type TopicPlan struct {
	Topic             string `json:"topic"`
	Source            string `json:"source"`
	Create            bool   `json:"create"`
	ReplicationFactor int16  `json:"replication_factor"`
	// Configs are the topic's own in the end; Held those that stay held until Release, with the
	// value to come.
	Configs    map[string]string `json:"configs"`
	Held       map[string]string `json:"held,omitempty"`
	Partitions []PartitionPlan   `json:"partitions"`
}

// PartitionPlan is what would be done with one partition.
type PartitionPlan struct {
	Partition int32 `json:"partition"`
	// Method is exact or translated, or nothing where the target is complete.
	Method      string `json:"method"`
	StartOffset int64  `json:"start_offset"`
	EndOffset   int64  `json:"end_offset"`
	// Position is the target's true end now: where Run goes on.
	Position int64 `json:"position"`
	// Placed is how many records a translated restore finds on the target that are its own.
	Placed      int64           `json:"placed,omitempty"`
	Filler      int64           `json:"filler"`
	HoleRuns    int64           `json:"hole_runs"`
	HoleOffsets int64           `json:"hole_offsets"`
	Records     int64           `json:"records"`
	Bytes       int64           `json:"bytes"`
	Time        millis.Duration `json:"time_ms"`
}

// GroupPlan is what would be done with one group's offset.
type GroupPlan struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// AsRead is the offset in the snapshot; Why says why Offset differs: beyond_cut,
	// below_log_start; or not_mapped_yet, in a translated restore, where Offset is -1 until the
	// records are there.
	AsRead int64  `json:"as_read"`
	Why    string `json:"why,omitempty"`

	metadata *string
}

// Result is what a restore did.
type Result struct {
	Records  int64           `json:"records"`
	Bytes    int64           `json:"bytes"`
	Groups   int             `json:"groups"`
	Duration millis.Duration `json:"duration_ms"`
	// Held are the configs that Release gives back, by topic.
	Held          map[string]map[string]string `json:"held"`
	GroupsClamped []GroupPlan                  `json:"groups_clamped,omitempty"`
	// GroupsBefore is what the target's groups had committed before, where something was committed:
	// offsets.Rollback restores it.
	GroupsBefore *offsets.Before `json:"groups_before,omitempty"`
	Warnings     []string        `json:"warnings"`
	// Maps are those of a translated restore, one for each partition: which offset of the target is
	// which of the source. The target's ledger has them too.
	Maps []*offsets.Map `json:"-"`
}
