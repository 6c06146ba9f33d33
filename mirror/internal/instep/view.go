package instep

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// View is what the mirror knows of its topics when a Sync begins. Syncers read it and keep nothing
// of it.
type View struct{ Topics []Topic }

// Topic is a topic of the source and its copy.
type Topic struct {
	Source   string
	SourceID kadm.TopicID
	// Target is the copy's name on the standby, TargetID its ID. Zero: it isn't there yet.
	Target   string
	TargetID kadm.TopicID
	// ReplicationFactor is the copy's.
	ReplicationFactor int16
	// Ready says that the hold of a new copy is over ([HeldConfigs]): retention and compaction may
	// begin.
	Ready bool
	// Partitions are the copy's, by number.
	Partitions []Partition
}

// Partition is one partition of a copy.
type Partition struct {
	// LogStart is the copy's log start offset, Durable one past the last offset that is durable
	// there. Negative: not known (yet).
	LogStart, Durable int64
	// Stopped says that the mirror doesn't copy it: what the source's offsets mean there is in
	// doubt, and groups' stay as they are.
	Stopped bool
}

// Ledger is what is used of a cluster's ledger (package internal/ledger).
type Ledger interface {
	Get(key string, into any) (bool, error)
	Each(prefix string) iter.Seq2[string, json.RawMessage]
	Put(ctx context.Context, entries map[string]any) error
}

// Sides are the two clusters.
type Sides struct {
	// Required.
	Source, Target *rawkafka.Cluster
	// Ledger is the standby's. Required.
	Ledger Ledger

	// Flow is the mirror's name: what it has set is noted under it, so that another flow between
	// the same clusters doesn't remove it. Default "mirror".
	Flow string
	// Prefix is in front of the copies' names. Default none.
	Prefix string
	// ClientID is the mirror's on the standby. Default "kafkadr".
	ClientID string
	// Budget is how long one Sync may take; what isn't done by then is done by the next. Default 30
	// s.
	Budget time.Duration
}

func (s Sides) withDefaults() Sides {
	if s.Flow == "" {
		s.Flow = "mirror"
	}
	if s.ClientID == "" {
		s.ClientID = "kafkadr"
	}
	if s.Budget <= 0 {
		s.Budget = 30 * time.Second
	}
	return s
}

// key is where the ledger notes something of this flow.
func (s Sides) key(kind string) string { return kind + "/" + s.Source.ID() + "/" + s.Flow + "/" }

// Syncer is what all of this package's have in common. One Sync at a time.
type Syncer interface {
	Sync(ctx context.Context, v View) (Report, error)
}
