package mm2

import (
	"cmp"
	"strings"
)

// Policy is a replication policy: how topics are named on the target, and what MirrorMaker's own
// are called. The zero value is Kafka's DefaultReplicationPolicy with its own settings.
type Policy struct {
	// Identity is IdentityReplicationPolicy: topics keep their names, but those that end in
	// "heartbeats".
	Identity bool
	// SourceAlias is the source of every topic of an Identity policy (source.cluster.alias).
	// Default: unknown.
	SourceAlias string
	// Separator is replication.policy.separator. Default ".".
	Separator string
	// DotInternal names MirrorMaker's own topics with "." whatever Separator is
	// (replication.policy.internal.topic.separator.enabled=false, KIP-949). By default they have
	// the separator too (KIP-690).
	DotInternal bool
	// OldInternal makes [Policy.IsInternal] judge as releases before 4 did: whatever ends in
	// ".internal" or "-internal" is internal.
	OldInternal bool
}

const heartbeats = "heartbeats"

func (p Policy) separator() string { return cmp.Or(p.Separator, ".") }

func (p Policy) internalSeparator() string {
	if p.DotInternal {
		return "."
	}
	return p.separator()
}

func (p Policy) internalSuffix() string { return p.internalSeparator() + "internal" }

// keeps says that the policy leaves a name as it is.
func (p Policy) keeps(topic string) bool { return p.Identity && !strings.HasSuffix(topic, heartbeats) }

// Remote is a source topic's name on the target.
func (p Policy) Remote(sourceAlias, topic string) string {
	if p.keeps(topic) {
		return topic
	}
	return sourceAlias + p.separator() + topic
}

// Source is the alias that a name carries; false where it carries none. A topic whose own name has
// the separator in it looks remote, as it does to MirrorMaker.
func (p Policy) Source(topic string) (string, bool) {
	if p.keeps(topic) {
		return p.SourceAlias, p.SourceAlias != ""
	}
	source, rest, ok := strings.Cut(topic, p.separator())
	// Java splits, and drops empty strings at the end.
	if !ok || strings.ReplaceAll(rest, p.separator(), "") == "" {
		return "", false
	}
	return source, true
}

// Upstream is a remote topic's name one hop nearer to its source; false where the name isn't
// remote.
func (p Policy) Upstream(topic string) (string, bool) {
	if p.keeps(topic) {
		return topic, true
	}
	source, ok := p.Source(topic)
	if !ok {
		return "", false
	}
	return topic[len(source)+len(p.separator()):], true
}

// Original is the name that a topic had where it was made.
func (p Policy) Original(topic string) string {
	for {
		up, ok := p.Upstream(topic)
		if !ok || up == topic {
			return topic
		}
		topic = up
	}
}

// OffsetSyncs is the name of the offset-syncs topic: on the source with the target's alias, by
// default; on the target with the source's (offset-syncs.topic.location=target).
func (p Policy) OffsetSyncs(otherAlias string) string {
	return "mm2-offset-syncs" + p.internalSeparator() + otherAlias + p.internalSuffix()
}

// Checkpoints is the name of the checkpoints topic on the target.
func (p Policy) Checkpoints(sourceAlias string) string {
	return sourceAlias + p.internalSeparator() + "checkpoints" + p.internalSuffix()
}

// Heartbeats is the name of the topic that flows write heartbeats to.
func (p Policy) Heartbeats() string { return heartbeats }

// ConnectOffsets is the name of the topic of Connect's offsets on the target of a MirrorMaker in
// dedicated mode; the separator doesn't matter. In a Connect cluster it is what
// offset.storage.topic says.
func (p Policy) ConnectOffsets(sourceAlias string) string {
	return "mm2-offsets." + sourceAlias + ".internal"
}

// IsHeartbeats says that a topic is heartbeats, or a copy of it.
func (p Policy) IsHeartbeats(topic string) bool { return p.Original(topic) == heartbeats }

// IsCheckpoints says that a topic is a checkpoints topic.
func (p Policy) IsCheckpoints(topic string) bool {
	return strings.HasSuffix(topic, p.internalSeparator()+"checkpoints"+p.internalSuffix())
}

// IsInternal says that MirrorMaker doesn't mirror a topic, whatever its filters say.
func (p Policy) IsInternal(topic string) bool {
	if strings.HasPrefix(topic, "__") || strings.HasPrefix(topic, ".") {
		return true
	}
	if p.OldInternal {
		return strings.HasSuffix(topic, ".internal") || strings.HasSuffix(topic, "-internal")
	}
	return strings.HasPrefix(topic, "mm2") && strings.HasSuffix(topic, p.internalSuffix()) || p.IsCheckpoints(topic)
}
