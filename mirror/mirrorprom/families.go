package mirrorprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/mirror"
)

const milli = 1e-3

func flowFamilies() []family[*mirror.Status] {
	type s = *mirror.Status
	return []family[s]{
		maybe(desc("start_time_seconds", "When the mirror was started, as Unix time."), 1, func(s s) float64 { return unixSeconds(s.Started) }),
		gauge(desc("topics", "Topics that are mirrored."), func(s s) float64 { return float64(len(s.Topics)) }),
		gauge(desc("left_out_topics", "Topics that match but aren't mirrored."), func(s s) float64 { return float64(len(s.LeftOut)) }),
		counter(desc("records_total", "Records appended to the standby since the start."), func(s s) int64 { return s.Records }),
		counter(desc("bytes_total", "Bytes of batches appended to the standby since the start, as they are sent."), func(s s) int64 { return s.Bytes }),
		gauge(desc("lag_records", "Offsets below the source's last stable offsets that aren't appended to the standby."), func(s s) float64 { return float64(s.LagRecords) }),
		gauge(desc("lag_seconds", "Age of the oldest record below the source's last stable offsets that isn't appended to the standby; 0 where there is none."), func(s s) float64 { return float64(s.LagMillis) * milli }),
		gauge(desc("lso_lag_records", "Offsets between the source's last stable offsets and high watermarks: of open transactions."), func(s s) float64 { return float64(s.LSOLag) }),
		gauge(desc("rpo_records", "Offsets below the source's high watermarks that aren't durable on the standby: lost if the source were lost now."), func(s s) float64 { return float64(s.RPO.Records) }),
		gauge(desc("rpo_seconds", "Age of the oldest of what kafkadr_mirror_rpo_records counts; 0 where there is none."), func(s s) float64 { return float64(s.RPO.AgeMillis) * milli }),
		maybe(desc("source_age_seconds", "Time since the source has said where its logs end, of the partition that has been silent the longest; no series before the first."), milli, func(s s) float64 { return float64(s.RPO.SourceAgeMillis) }),
		gauge(desc("rpo_unknown_partitions", "Partitions of which it isn't known what would be lost."), func(s s) float64 { return float64(s.RPO.Unknown) }),
		gauge(desc("heartbeat_enabled", "1 where heartbeats are written."), func(s s) float64 { return truth(s.Heartbeat.Enabled) }),
		counter(desc("heartbeats_total", "Heartbeats that came through since the start."), func(s s) int64 { return s.Heartbeat.Count }),
		maybe(desc("heartbeat_age_seconds", "Time since the last heartbeat came through; no series before the first."), milli, func(s s) float64 { return float64(s.Heartbeat.AgeMillis) }),
		maybe(desc("heartbeat_latency_seconds", "Time that the last heartbeat took from the source to the standby; no series before the first."), milli, func(s s) float64 { return s.Heartbeat.LatencyMillis }),
		maybe(desc("group_sync_age_seconds", "Time since the last whole look at the source's committed offsets; no series before the first."), milli, func(s s) float64 { return float64(s.Groups.AgeMillis) }),
		gauge(desc("groups", "Consumer groups in the last look at the source."), func(s s) float64 { return float64(s.Groups.Groups) }),
		gauge(desc("group_offsets", "Committed offsets in the last look at the source."), func(s s) float64 { return float64(s.Groups.Offsets) }),
		gauge(desc("group_offsets_committed", "Committed offsets that changed with the last look."), func(s s) float64 { return float64(s.Groups.Committed) }),
		gauge(desc("group_offsets_held", "Committed offsets that are left alone: of groups that are active on the standby, or ahead of the data."), func(s s) float64 { return float64(s.Groups.Held) }),
		counter(desc("retries_total", "What was tried again since the start."), func(s s) int64 { return s.Retries }),
	}
}

func topicFamilies() []family[*mirror.TopicStatus] {
	type t = *mirror.TopicStatus
	d := func(name, help string) *prometheus.Desc { return desc("topic_"+name, help, "topic") }
	return []family[t]{
		counter(d("records_total", "Records of a topic appended to the standby since the start."), func(t t) int64 { return t.Records }),
		counter(d("bytes_total", "Bytes of batches of a topic appended to the standby since the start."), func(t t) int64 { return t.Bytes }),
		gauge(d("lag_records", "Offsets of a topic below the source's last stable offsets that aren't appended to the standby."), func(t t) float64 { return float64(t.LagRecords) }),
		gauge(d("lag_seconds", "Age of the oldest record of a topic that isn't appended to the standby; 0 where there is none."), func(t t) float64 { return float64(t.LagMillis) * milli }),
		gauge(d("lso_lag_records", "Offsets of a topic between the source's last stable offsets and high watermarks."), func(t t) float64 { return float64(t.LSOLag) }),
	}
}

func partitionFamilies() []family[*mirror.PartitionStatus] {
	type p = *mirror.PartitionStatus
	d := func(name, help string) *prometheus.Desc { return desc("partition_"+name, help, "topic", "partition") }
	return []family[p]{
		maybe(d("position_offset", "One past the last offset that the standby has appended."), 1, func(p p) float64 { return float64(p.Position) }),
		maybe(d("durable_offset", "One past the last offset that all in-sync replicas of the standby have."), 1, func(p p) float64 { return float64(p.Durable) }),
		maybe(d("source_lso_offset", "The source's last stable offset, as it was last asked."), 1, func(p p) float64 { return float64(p.SourceLSO) }),
		maybe(d("source_high_watermark_offset", "The source's high watermark, as it was last asked."), 1, func(p p) float64 { return float64(p.SourceHighWatermark) }),
		maybe(d("source_log_start_offset", "The source's log start offset, as it was last asked."), 1, func(p p) float64 { return float64(p.SourceLogStart) }),
		maybe(d("lag_records", "Offsets below the source's last stable offset that aren't appended to the standby."), 1, func(p p) float64 { return float64(p.LagRecords) }),
		maybe(d("lag_seconds", "Age of the oldest record that isn't appended to the standby; 0 where there is none."), milli, func(p p) float64 { return float64(p.LagMillis) }),
		maybe(d("lso_lag_records", "Offsets between the source's last stable offset and high watermark."), 1, func(p p) float64 { return float64(p.LSOLag) }),
		counter(d("records_total", "Records appended to the standby since the start."), func(p p) int64 { return p.Records }),
		counter(d("bytes_total", "Bytes of batches appended to the standby since the start."), func(p p) int64 { return p.Bytes }),
	}
}

// backupFamilies have the names and meanings that kdr's follower gives them.
func backupFamilies() []family[*backup.Status] {
	type b = *backup.Status
	d := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("kafkadr_backup_"+name, help, nil, nil)
	}
	return []family[b]{
		gauge(d("snapshot_age_seconds", "Time since the last full snapshot; negative before the first."), func(b b) float64 { return b.SnapshotAge.Seconds() }),
		gauge(d("lag_records", "Offsets below the last stable offsets that are not in a committed manifest."), func(b b) float64 { return float64(b.LagRecords) }),
	}
}

// unixSeconds is -1 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return -1
	}
	return float64(t.UnixMilli()) * milli
}
