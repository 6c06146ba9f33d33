package mirror

import "time"

// State is where the mirror of a partition stands.
type State string

// States.
const (
	// Opening: it is being looked at, or created, or has to wait for a broker.
	Opening State = "opening"
	// Copying: it is mirrored, or up to date.
	Copying State = "copying"
	// Stopped: an event has stopped it.
	Stopped State = "stopped"
	// Done: with [Config.Once], all is durable on the target.
	Done State = "done"
)

// Status is where a mirror stands.
type Status struct {
	// Flow is the mirror's name, SourceCluster and TargetCluster the cluster IDs.
	Flow          string    `json:"flow"`
	SourceCluster string    `json:"source_cluster"`
	TargetCluster string    `json:"target_cluster"`
	Started       time.Time `json:"started"`
	Seconds       float64   `json:"seconds"`

	// WrongCluster is the answer of another cluster at the address of the source or the target,
	// where the right one hasn't answered since; else nil. Lags are at least as old as that then,
	// and all partitions are in RPO.Unknown.
	WrongCluster *WrongClusterStatus `json:"wrong_cluster,omitempty"`

	// Topics are those that are mirrored, by source name.
	Topics []TopicStatus `json:"topics"`
	// Totals are over all of them.
	Totals
	// RPO is what would be lost if the source were lost now.
	RPO RPO `json:"rpo"`
	// Heartbeat is the last that came through.
	Heartbeat HeartbeatStatus `json:"heartbeat"`
	Groups    GroupStatus     `json:"groups"`
	// LeftOut are topics that match but aren't mirrored, and why.
	LeftOut map[string]string `json:"left_out,omitempty"`
	// Retries counts what was tried again, Events all events by kind.
	Retries int64               `json:"retries"`
	Events  map[EventKind]int64 `json:"events,omitempty"`
	// Recent are the last events, at most 64, the oldest first.
	Recent []Event `json:"recent,omitempty"`
}

// Totals are sums over partitions.
type Totals struct {
	Partitions int `json:"partitions"`
	Opening    int `json:"opening"`
	Copying    int `json:"copying"`
	Stopped    int `json:"stopped"`
	Done       int `json:"done"`
	// Records and Bytes have become durable on the target since the start, each counted once:
	// visible records, and batches as they are sent.
	Records          int64   `json:"records"`
	Bytes            int64   `json:"bytes"`
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
	// LagRecords are offsets below the sources' last stable offsets that aren't appended yet; -1
	// where nothing is known because another cluster answers. LagMillis is the age of the oldest of
	// them, 0 where there is none.
	LagRecords int64 `json:"lag_records"`
	LagMillis  int64 `json:"lag_ms"`
	// LSOLag are offsets between last stable offsets and high watermarks: of open transactions.
	LSOLag int64 `json:"lso_lag"`
}

// RPO is what isn't on the standby yet.
type RPO struct {
	// Records are offsets below the sources' high watermarks, as far as known, that aren't durable
	// on the standby. Unknown counts partitions that have stopped, where there may be more by now,
	// and those that weren't looked at yet.
	Records int64 `json:"records"`
	Unknown int   `json:"unknown"`
	// AgeMillis is the age of the oldest of them; where a partition has stopped, at least the time
	// since.
	AgeMillis int64 `json:"age_ms"`
	// SourceAgeMillis is the time since the source has said where its logs end, of the partition
	// that has been silent the longest; of one that is read it is said at least once a second. What
	// it got in that time isn't in Records. Partitions in Unknown aren't counted. -1: nothing is
	// known of any.
	SourceAgeMillis int64 `json:"source_age_ms"`
}

// TopicStatus is where a topic stands.
type TopicStatus struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Totals
	// Detail is by partition.
	Detail []PartitionStatus `json:"detail,omitempty"`
}

// PartitionStatus is where a partition stands. Offsets are -1 while they aren't known.
type PartitionStatus struct {
	Partition int32 `json:"partition"`
	State     State `json:"state"`
	// Position is one past the last offset that the standby has appended, Durable one past the last
	// that all of its in-sync replicas have.
	Position int64 `json:"position"`
	Durable  int64 `json:"durable"`
	// SourceLSO, SourceHighWatermark and SourceLogStart are the source's, as it was last asked.
	SourceLSO           int64 `json:"source_lso"`
	SourceHighWatermark int64 `json:"source_high_watermark"`
	SourceLogStart      int64 `json:"source_log_start"`
	LagRecords          int64 `json:"lag_records"`
	LagMillis           int64 `json:"lag_ms"`
	LSOLag              int64 `json:"lso_lag"`
	// Records and Bytes have become durable since the start.
	Records          int64   `json:"records"`
	Bytes            int64   `json:"bytes"`
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
	// Event is the last one, if there was any.
	Event *Event `json:"event,omitempty"`
}

// Missing are the offsets below the source's high watermark that aren't durable on the standby:
// what would be lost if the source were lost now. -1: that isn't known.
func (p PartitionStatus) Missing() int64 {
	durable := p.Durable
	if durable < 0 && p.State == Stopped {
		durable = p.Position
	}
	if durable < 0 || p.SourceHighWatermark < 0 {
		return -1
	}
	return max(0, p.SourceHighWatermark-max(durable, min(p.SourceLogStart, p.SourceHighWatermark)))
}

// HeartbeatStatus is of the heartbeats of this flow.
type HeartbeatStatus struct {
	// Enabled says that they are written, Count how many came through.
	Enabled bool  `json:"enabled"`
	Count   int64 `json:"count"`
	// LatencyMillis is from writing one at the source to reading it from the standby's side,
	// AgeMillis the time since the last; -1: none came yet.
	LatencyMillis float64 `json:"latency_ms"`
	AgeMillis     int64   `json:"age_ms"`
}

// GroupStatus is of the groups that are kept in step.
type GroupStatus struct {
	// AgeMillis is the time since the last whole look at the source's committed offsets; -1: none
	// yet.
	AgeMillis int64 `json:"age_ms"`
	// Groups and Offsets were in it, Committed of them changed in the last look, Held are left
	// alone (active on the standby, or ahead of the data).
	Groups    int `json:"groups"`
	Offsets   int `json:"offsets"`
	Committed int `json:"committed"`
	Held      int `json:"held"`
}
