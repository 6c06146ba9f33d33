package offsets

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Groups are the committed offsets of a cluster's groups, as they were at a
// time. It is plain data: what [Capture] returns, and what JSON keeps of it.
type Groups struct {
	ClusterID string    `json:"cluster_id"`
	At        time.Time `json:"captured_at"`
	// Groups are ordered by name, their offsets by topic and partition.
	Groups []Group `json:"groups"`
	// NotCarried are groups that have no committed offsets by their nature.
	NotCarried []NotCarried `json:"not_carried"`
	// Unread says which brokers didn't list their groups, and why. Groups may be missing then.
	Unread []string `json:"unread"`
}

// Group is a group with its committed offsets.
type Group struct {
	Group string `json:"group"`
	// Type is classic, consumer (KIP-848) or streams (KIP-1071), whose committed offsets are
	// carried like the others'; State is Kafka's, such as Empty, Stable or Dead, and empty where
	// brokers before 2.6 don't tell it.
	Type         string `json:"type"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type"`
	// AbsentSince is when the cluster was first found without the group, whose offsets are the last
	// that were seen. Zero: it is there.
	AbsentSince time.Time   `json:"absent_since,omitzero"`
	Offsets     []Committed `json:"offsets"`
	// Pending are partitions with a transactional commit under way: neither waited for nor taken.
	Pending []Pending `json:"pending,omitempty"`
	// Error says why not all offsets could be read.
	Error string `json:"error,omitempty"`
}

// Committed is a committed offset, as the coordinator has it.
type Committed struct {
	TopicID     TopicID `json:"topic_id"`
	Topic       string  `json:"topic"`
	Partition   int32   `json:"partition"`
	Offset      int64   `json:"offset"`
	LeaderEpoch int32   `json:"leader_epoch"` // -1: none
	Metadata    *string `json:"metadata"`
}

// Pending is a partition with a transactional commit under way.
type Pending struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// NotCarried is a group that isn't carried, and why.
type NotCarried struct {
	Group string `json:"group"`
	Type  string `json:"type"`
	Why   string `json:"why"`
}

// TopicID is a topic's ID, as kadm's, and is read from JSON as well. Zero where brokers before 2.8
// have none.
type TopicID kadm.TopicID

// String is the ID in base64, as kadm prints it.
func (id TopicID) String() string { return base64.StdEncoding.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *TopicID) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("offsets: %q is not a topic ID", text)
	}
	copy(id[:], raw)
	return nil
}

// Active says whether a group has members, as far as its state tells.
func (g *Group) Active() bool {
	return g.State != "" && !strings.EqualFold(g.State, "Empty") && !strings.EqualFold(g.State, "Dead")
}

// Lookup returns the group of a name, or nil.
func (g *Groups) Lookup(group string) *Group {
	i, ok := slices.BinarySearchFunc(g.Groups, group, func(g Group, name string) int { return strings.Compare(g.Group, name) })
	if !ok {
		return nil
	}
	return &g.Groups[i]
}

// Lookup returns the offset committed for a partition, or nil.
func (g *Group) Lookup(topic string, partition int32) *Committed {
	for i := range g.Offsets {
		if o := &g.Offsets[i]; o.Topic == topic && o.Partition == partition {
			return o
		}
	}
	return nil
}

func (c *Committed) place() place { return place{c.Topic, c.Partition} }

// metadata is what a broker makes of metadata: none is "".
func (c *Committed) metadata() string {
	if c.Metadata == nil {
		return ""
	}
	return *c.Metadata
}

// equal compares offset and metadata, which is what a consumer gets back.
func (c *Committed) equal(d *Committed) bool {
	if c == nil || d == nil {
		return c == d
	}
	return c.Offset == d.Offset && c.metadata() == d.metadata()
}

// same compares the leader epoch too.
func (c *Committed) same(d *Committed) bool {
	return c.equal(d) && (c == nil || c.LeaderEpoch == d.LeaderEpoch)
}

func sortCommitted(offsets []Committed) {
	slices.SortFunc(offsets, func(a, b Committed) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

func (g *Groups) sort() {
	slices.SortFunc(g.Groups, func(a, b Group) int { return strings.Compare(a.Group, b.Group) })
	slices.SortFunc(g.NotCarried, func(a, b NotCarried) int { return strings.Compare(a.Group, b.Group) })
}
