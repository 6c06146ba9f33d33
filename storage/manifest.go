package storage

import (
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// Info is a snapshot's summary.
type Info struct {
	// ID names the snapshot in its archive.
	ID string `json:"snapshot"`
	// ClusterID is the source cluster's.
	ClusterID string `json:"cluster_id"`
	// Sequence is the commit's place in the lineage's log.
	Sequence int64 `json:"sequence"`
	// CreatedAt is when the cut was taken, by the writer's clock.
	CreatedAt time.Time `json:"created_at"`
	// Flush says that only data was committed: topics, groups and the rest are those of the last
	// full snapshot.
	Flush bool `json:"flush"`
	// Complete is false where a partition couldn't be read.
	Complete bool `json:"complete"`
	// Topics, Partitions, Records, Bytes count what the snapshot holds of live topics.
	Topics     int   `json:"topics"`
	Partitions int   `json:"partitions"`
	Records    int64 `json:"records"`
	Bytes      int64 `json:"bytes"`
}

// Topic is one incarnation of a topic as a snapshot has it.
type Topic struct {
	ID                kadm.TopicID `json:"id"`
	Name              string       `json:"name"`
	Partitions        int32        `json:"partitions"`
	ReplicationFactor int16        `json:"replication_factor"`
	Internal          bool         `json:"internal,omitempty"`
	// Configs are the effective configs, by key, with their source.
	Configs []TopicConfig `json:"configs"`
	// ConfigsError says why the configs couldn't be read, if so.
	ConfigsError string `json:"configs_error,omitempty"`
	// Deleted is when the incarnation was first seen gone from the source; zero while it lives.
	Deleted time.Time `json:"deleted,omitzero"`
}

// TopicConfig is one effective config of a topic. Sensitive ones have no value.
type TopicConfig struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
	// Source is where the value came from, as Kafka names it: DYNAMIC_TOPIC_CONFIG,
	// DYNAMIC_BROKER_CONFIG, DYNAMIC_DEFAULT_BROKER_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG, …
	Source string `json:"source"`
}

// Range is offsets, half-open.
type Range struct {
	BaseOffset int64 `json:"base_offset"`
	EndOffset  int64 `json:"end_offset"`
}

// HoleReason says why offsets have no batch in the archive, although no fault made it so.
type HoleReason string

// Reasons of holes. Those of control batches, aborted transactions and
// compaction inside a log are seen in the batches themselves and by the topic's cleanup.policy.
const (
	// LogStartMoved: retention or DeleteRecords removed the offsets before they could be read.
	LogStartMoved HoleReason = "log_start_moved"
	// Compacted: no batch has the offsets, and cleanup.policy then included compact.
	Compacted HoleReason = "compacted"
	// Missing: no batch has the offsets, and cleanup.policy then did not include compact.
	Missing HoleReason = "missing"
)

// Hole is a range of offsets that the archive explains without having a batch for it.
type Hole struct {
	Range
	Reason HoleReason `json:"reason"`
	// Evidence is what was seen: the cleanup policy then, the log start offset, at what time.
	Evidence string `json:"evidence"`
}

// PartitionState is what the archive holds of one history of a partition. A history ends, and
// another begins, where the source was found truncated.
type PartitionState struct {
	segment.Partition `json:"-"`
	// History counts the partition's histories from 0; the newest is the live one.
	History int32 `json:"history"`
	// StartOffset is the log start offset to restore, EndOffset the cut: every offset between them
	// is in a run or in a hole.
	StartOffset int64 `json:"start_offset"`
	EndOffset   int64 `json:"end_offset"`
	// FirstOffset is the lowest offset that was ever archived in this history (log start moves
	// later).
	FirstOffset int64 `json:"first_offset"`
	// LeaderEpoch is the last archived batch's.
	LeaderEpoch int32 `json:"leader_epoch"`
	// Records, Bytes, Missing and HoleRuns are sums over the runs (see segment.RunInfo).
	// MinTimestamp, MaxTimestamp and MaxBatch are bounds: they don't narrow when runs fall below
	// StartOffset and leave the snapshot. All are kept by Commit.
	Records      int64 `json:"records"`
	Bytes        int64 `json:"bytes"`
	Missing      int64 `json:"missing"`
	HoleRuns     int64 `json:"hole_runs"`
	MinTimestamp int64 `json:"min_timestamp"`
	MaxTimestamp int64 `json:"max_timestamp"`
	MaxBatch     int32 `json:"max_batch"`
	// Holes are the explained ranges, oldest first, at most 65536. They are stored apart from the
	// state: old ones cost nothing.
	Holes []Hole `json:"holes,omitempty"`
	// Fault says why the partition couldn't be read up to the cut, if so: the snapshot is then
	// incomplete.
	Fault string `json:"fault,omitempty"`
	// Truncated says how this history ended, if the source was found truncated.
	Truncated string `json:"truncated,omitempty"`
}

// Run is a run of a partition's history: where its batches lie.
type Run struct {
	segment.RunInfo
	History int32
	// Object is the segment's key.
	Object string
}

// Object is a segment that a snapshot names.
type Object struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
}

// GroupOffset is a committed offset of a group, as read.
type GroupOffset struct {
	TopicID     kadm.TopicID `json:"topic_id"`
	Topic       string       `json:"topic"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	LeaderEpoch int32        `json:"leader_epoch"`
	Metadata    *string      `json:"metadata,omitempty"`
}

// Group is a consumer group with its committed offsets.
type Group struct {
	Name string `json:"name"`
	// Type is classic, consumer (KIP-848) or streams (KIP-1071), or share (KIP-932), which has no
	// offsets; State as Kafka names it: Empty, Stable, Dead, …
	Type         string `json:"type"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type,omitempty"`
	// Error says why its offsets couldn't be read, if so.
	Error   string        `json:"error,omitempty"`
	Offsets []GroupOffset `json:"offsets"`
	// AbsentSince is when the source was first found without the group, if so: its offsets are the
	// last that were seen.
	AbsentSince time.Time `json:"absent_since,omitzero"`
	// Pending are partitions with a transactional commit under way when the group was read, which
	// wasn't waited for nor taken.
	Pending []GroupPartition `json:"pending,omitempty"`
}

// GroupPartition is a partition as a group names it.
type GroupPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// ACL is one access control entry, each field as Kafka names it.
type ACL struct {
	ResourceType string `json:"resource_type"`
	ResourceName string `json:"resource_name"`
	PatternType  string `json:"pattern_type"`
	Principal    string `json:"principal"`
	Host         string `json:"host"`
	Operation    string `json:"operation"`
	Permission   string `json:"permission"`
}

// Quota is one client quota: entity components (type to name, nil is the default) and values.
type Quota struct {
	Entity map[string]*string `json:"entity"`
	Values map[string]float64 `json:"values"`
}

// Cluster is what a full snapshot holds beside topics and groups.
type Cluster struct {
	Brokers int     `json:"brokers"`
	ACLs    []ACL   `json:"acls"`
	Quotas  []Quota `json:"quotas"`
	// ScramUsers are names alone: Kafka doesn't give out credentials.
	ScramUsers []string `json:"scram_users"`
	// LeftOut are the topics that the selection left out.
	LeftOut []string `json:"left_out"`
	// Unread says what couldn't be read, and why: acls, quotas, scram_users, groups.
	Unread map[string]string `json:"unread,omitempty"`
}
