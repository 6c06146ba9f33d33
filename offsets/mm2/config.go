package mm2

import (
	"cmp"
	"errors"
	"time"

	"github.com/kafkadr/kafkadr/internal/fault"
)

// Config says whose flow to read.
type Config struct {
	// Required.

	// SourceAlias is the alias that MirrorMaker's configuration has for the source cluster.
	SourceAlias string

	// Policy is the flow's replication policy. Default: DefaultReplicationPolicy with ".".
	Policy Policy
	// ConnectOffsets is the topic of Connect's offsets. Default: that of a MirrorMaker in dedicated
	// mode, [Policy.ConnectOffsets].
	ConnectOffsets string
	// Connector is the name of the source connector. Default MirrorSourceConnector, that of the
	// dedicated mode.
	Connector string
	// Drained says that MirrorMaker has committed behind its last record: it was stopped in order
	// (SIGTERM), or had nothing to copy for longer than its offset.flush.interval.ms. Then the last
	// offset in mm2-offsets is that of the last record on the target, which makes one more known
	// place. It isn't believed where an offset sync says otherwise. Default: not known.
	Drained bool
	// MaxScan is how many bytes of one partition's records are read to find out whether something
	// was copied twice; where it takes more (or more than 16 Mi records), the answer is the
	// conservative one. One partition is read at a time. Default 256 MiB; negative: none are read.
	MaxScan int64
	// RetryFor is how long an operation is tried again without progress. Default 1 minute.
	RetryFor time.Duration
	// OnRetry is called when an operation failed and is tried again. It must not block, and may be
	// called by several goroutines.
	OnRetry func(op string, err error)
}

func (c Config) withDefaults() Config {
	c.ConnectOffsets = cmp.Or(c.ConnectOffsets, c.Policy.ConnectOffsets(c.SourceAlias))
	c.Connector = cmp.Or(c.Connector, "MirrorSourceConnector")
	c.MaxScan = cmp.Or(c.MaxScan, 256<<20)
	c.RetryFor = cmp.Or(c.RetryFor, time.Minute)
	if c.OnRetry == nil {
		c.OnRetry = func(string, error) {}
	}
	return c
}

// validate reports all faults, a [*ConfigError].
func (c Config) validate() error {
	var errs []error
	if c.SourceAlias == "" {
		errs = append(errs, errors.New("SourceAlias is required"))
	}
	if c.RetryFor < 0 {
		errs = append(errs, errors.New("RetryFor is negative"))
	}
	return fault.Config("mm2", errs...)
}
