package instep

import "maps"

// Topic configs that are handled in a way of their own.
const (
	cfgCleanup     = "cleanup.policy"
	cfgRetentionMs = "retention.ms"
	cfgRetention   = "retention.bytes"
	cfgBefore      = "message.timestamp.before.max.ms"
	cfgAfter       = "message.timestamp.after.max.ms"
	cfgStampType   = "message.timestamp.type"
	cfgMaxMessage  = "max.message.bytes"
	cfgCompression = "compression.type"
	cfgMinInSync   = "min.insync.replicas"

	noLimit = "9223372036854775807"
)

// LeftOut is a topic config that isn't carried over, and why.
type LeftOut struct{ Name, Why string }

// LeftOutConfigs are the topic configs that are never carried over from the source, by name.
func LeftOutConfigs() []LeftOut {
	return []LeftOut{
		{cfgCompression, "the copy is \"producer\": batches stay as they were compressed at the source"},
		{"follower.replication.throttled.replicas", "it names brokers and partitions of one cluster"},
		{"leader.replication.throttled.replicas", "it names brokers and partitions of one cluster"},
		{"local.retention.bytes", "tiered storage is set up per cluster"},
		{"local.retention.ms", "tiered storage is set up per cluster"},
		{"message.downconversion.enable", "gone from Kafka 4"},
		{"message.format.version", "gone from Kafka 4"},
		{"message.timestamp.difference.max.ms", "gone from Kafka 4; the copy takes every timestamp"},
		{cfgAfter, "open on the copy, which must take every timestamp that the source has"},
		{cfgBefore, "open on the copy, which must take every timestamp that the source has"},
		{cfgStampType, "the copy is CreateTime: LogAppendTime would put the copy's times in place of the source's"},
		{"remote.log.copy.disable", "tiered storage is set up per cluster"},
		{"remote.log.delete.on.disable", "tiered storage is set up per cluster"},
		{"remote.storage.enable", "tiered storage is set up per cluster"},
		{"unclean.leader.election.enable", "losing records of a copy for availability is the standby's own decision"},
	}
}

// fixed are what a copy needs, whatever the source has. They are set where the standby's effective
// value differs.
func fixed() map[string]string {
	return map[string]string{cfgBefore: noLimit, cfgAfter: noLimit, cfgStampType: "CreateTime", cfgCompression: "producer"}
}

// NeededConfigs are the configs that a copy has whatever the source's are.
func NeededConfigs() map[string]string { return fixed() }

// HeldConfigs are the configs that a new copy is created with, beyond what it needs for good:
// nothing may expire or be compacted until the mirror says that the topic is [Topic.Ready].
func HeldConfigs() map[string]string {
	return map[string]string{cfgCleanup: "delete", cfgRetentionMs: "-1", cfgRetention: "-1"}
}

// NewTopicConfigs are the configs to create a copy with, held. Write [Configs.Created] before.
func NewTopicConfigs() map[string]string {
	all := fixed()
	maps.Copy(all, HeldConfigs())
	return all
}
