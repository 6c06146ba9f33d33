// Package exactcopy appends record batches to a target cluster at the offsets they have on the source.
package exactcopy

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// ErrShifted: the target's end is not where it must be; every later record would get a wrong offset. The error is a *ShiftedError.
var ErrShifted = errors.New("exactcopy: the target's log is shifted")

// ErrUndecided: what the target holds is not known or not as expected (broken connection, moved leader, another process of the same copy).
// Open the partition again and go on from its Position.
var ErrUndecided = errors.New("exactcopy: undecided: open the partition again")

// Config is a Copier's configuration.
type Config struct {
	Cluster *rawkafka.Cluster
	// TransactionalID names the copy: all processes of the same copy get the same producer id.
	TransactionalID string
	// InFlight requests per broker. Default 5.
	InFlight int
	// RequestBytes bounds one produce request. Default 4 MiB (a larger batch goes alone).
	RequestBytes int
	// QueueBytes bounds what one partition has queued. Default 1 MiB.
	QueueBytes int
	// JoinBelow joins adjacent small batches up to this length where round trips bind. Default 256 KiB; negative: never.
	JoinBelow int
	// Limiter bounds the bytes produced; nil: no bound.
	Limiter *rate.Limiter
	OnRetry func(op string, err error)
}

// Method is how holes are made on a target.
type Method string

const (
	Markers      Method = "write_txn_markers"
	Transactions Method = "transactions" // weaker and slower: ClusterAction and Alter on Cluster are denied
)

// Copier writes to one target cluster. Safe for concurrent use.
type Copier struct{}

// New gets the producer id. SharedID says whether it is shared by all processes of the copy.
func New(ctx context.Context, cfg Config) (*Copier, error) { panic("TODO") }

// Method probes, without an effect on any log, whether markers may be written.
func (c *Copier) Method(ctx context.Context) (Method, error) { panic("TODO") }

// RoundTrip measures a request to a broker of the target.
func (c *Copier) RoundTrip(ctx context.Context) (time.Duration, error) { panic("TODO") }

// SharedID is false where the right to the transactional id is missing.
func (c *Copier) SharedID() bool { panic("TODO") }

// Close ends the senders.
func (c *Copier) Close() { panic("TODO") }

// Partition is an open target partition. One goroutine at a time.
type Partition struct{}

// Open reads last sequence, then true end, once nothing of ours is under way there.
func (c *Copier) Open(ctx context.Context, p rawkafka.Partition) (*Partition, error) { panic("TODO") }

// Position is the offset the next Append or Hole gets: the true end and what is queued.
func (p *Partition) Position() int64 { panic("TODO") }

// Append queues a copy of a whole batch: its base offset must be Position, it must have no holes inside, no LogAppendTime, no control bit.
// It waits while the queue is full. Errors of earlier batches surface here or in Flush.
func (p *Partition) Append(ctx context.Context, b segment.Batch) error { panic("TODO") }

// Hole makes n invisible offsets: a barrier, done when it returns.
func (p *Partition) Hole(ctx context.Context, n int64) error { panic("TODO") }

// Fill appends n empty records as filler, for DeleteRecords to remove. Done when it returns.
func (p *Partition) Fill(ctx context.Context, n int64) error { panic("TODO") }

// Flush waits until all that was queued is appended; with durable, until the high watermark has reached it.
func (p *Partition) Flush(ctx context.Context, durable bool) error { panic("TODO") }

// Close drops what is queued and not sent, and waits for what is.
func (p *Partition) Close() { panic("TODO") }
