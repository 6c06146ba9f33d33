package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Config is a Copier's configuration.
type Config struct {
	// Required.

	// Cluster is the target. It stays the caller's.
	Cluster *rawkafka.Cluster
	// TransactionalID names the copy: all processes of the same copy get the same producer ids, all
	// others get others. It is also the prefix of the transactional ids that the weaker way uses.
	TransactionalID string

	// Optional.

	// InFlight is the number of produce requests per broker. Default 5.
	InFlight int
	// RequestBytes bounds one produce request. Default 4 MiB (a larger batch goes alone).
	RequestBytes int
	// QueueBytes bounds what one partition has queued beside what is in a request; a larger batch
	// is queued alone. Default 1 MiB.
	QueueBytes int
	// JoinBelow joins adjacent small batches up to this length where round trips bind. Default 256
	// KiB; negative: never.
	JoinBelow int
	// Method is how holes are made, where another Copier of the process has just found out.
	// Default: it is tried before the first partition is opened.
	Method Method
	// Limiter bounds the bytes produced; nil: no bound.
	Limiter *rate.Limiter
	// RetryFor is how long a partition's leader may stay away before the partition ends with
	// [ErrUndecided]. Default 2 min.
	RetryFor time.Duration
	// Quiet is how long the log's end must stand still before markers follow markers whose answer
	// was lost. Default 30 s, a broker's request timeout. A hole that is the first thing after Open
	// waits a sixth of it, for markers of a process that died.
	Quiet time.Duration
	// MayHole is asked right before markers are written, and waits until they may: of two
	// processes' last markers of the same hole both would be taken, so a lock must keep them apart.
	// Its error ends the partition. It must be safe for concurrent use. Default: always.
	MayHole func(ctx context.Context, name rawkafka.Partition) error
	// OnRetry is called before something is tried again. It must be safe for concurrent use.
	OnRetry func(op string, err error)

	// For tests, which can't make a million holes: the first generation of producer ids, and the
	// last epoch of each.
	first  uint16
	epochs int16
}

func (c Config) withDefaults() Config {
	def(&c.InFlight, 5)
	def(&c.RequestBytes, 4<<20)
	def(&c.QueueBytes, 1<<20)
	def(&c.RetryFor, 2*time.Minute)
	def(&c.Quiet, 30*time.Second)
	def(&c.epochs, maxEpoch)
	if c.JoinBelow == 0 {
		c.JoinBelow = 256 << 10
	}
	if c.MayHole == nil {
		c.MayHole = func(context.Context, rawkafka.Partition) error { return nil }
	}
	if c.OnRetry == nil {
		c.OnRetry = func(string, error) {}
	}
	return c
}

func def[T int | int16 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c Config) validate() error {
	var errs []error
	if c.Cluster == nil {
		errs = append(errs, errors.New("exactcopy: Config.Cluster is missing"))
	}
	if c.TransactionalID == "" {
		errs = append(errs, errors.New("exactcopy: Config.TransactionalID is missing"))
	}
	return errors.Join(errs...)
}

// Copier writes to one target cluster. Safe for concurrent use.
type Copier struct {
	cfg    Config
	run    runner
	end    func() // cancels and waits
	ended  <-chan struct{}
	bufs   buffers
	filler filler
	joiner joiner

	mu      sync.Mutex
	closed  bool
	method  Method // "": not probed yet
	brokers map[int32]*broker
	open    map[rawkafka.Partition]*Partition
}

// runner starts the copier's goroutines. They end with its context.
type runner func(func(context.Context))

// New makes a copier. It lives until Close, or until ctx ends: then everything that is under way
// fails. Errors are those of cfg.
func New(ctx context.Context, cfg Config) (*Copier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Copier{
		cfg:     cfg.withDefaults(),
		method:  cfg.Method,
		brokers: make(map[int32]*broker),
		open:    make(map[rawkafka.Partition]*Partition),
	}
	var wg sync.WaitGroup
	c.run = func(f func(context.Context)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed { // nothing is waiting for it any more
			return
		}
		wg.Go(func() { f(ctx) })
	}
	c.end = func() {
		cancel()
		wg.Wait()
	}
	c.ended = ctx.Done()
	context.AfterFunc(ctx, func() { c.failAll(context.Cause(ctx)) })
	return c, nil
}

// failAll wakes everybody that waits for a partition, for good.
func (c *Copier) failAll(err error) {
	c.mu.Lock()
	c.closed = true
	open := slices.Collect(maps.Values(c.open))
	c.mu.Unlock()
	for _, p := range open {
		p.fail(err)
	}
}

// SharedID says that all processes of the copy have the same producer ids, so that a late request
// of one can't double the records of another.
func (c *Copier) SharedID() bool { return true }

// Close ends the senders and fails what is queued. Flush what must arrive before.
func (c *Copier) Close() {
	c.failAll(ErrClosed)
	c.end()
}

// broker returns the senders of a broker.
func (c *Copier) broker(id int32) *broker {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.brokers[id]
	if b == nil {
		b = &broker{c: c, id: id}
		c.brokers[id] = b
	}
	return b
}

// limit waits until n bytes may be produced.
func (c *Copier) limit(ctx context.Context, n int) error {
	l := c.cfg.Limiter
	for l != nil && l.Limit() != rate.Inf && n > 0 {
		part := max(min(n, l.Burst()), 1)
		if err := l.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// RoundTrip measures a request to a broker of the target: the median of five.
func (c *Copier) RoundTrip(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range 5 {
		start := time.Now()
		req := kmsg.NewPtrMetadataRequest() // which every broker knows
		req.Topics = []kmsg.MetadataRequestTopic{}
		if _, err := anyone(ctx, c, "round trip", req); err != nil {
			return 0, fmt.Errorf("exactcopy: round trip: %w", err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// anyTries is how often all brokers are asked for what any could answer.
const anyTries = 3

// anyone asks whichever broker answers first, and all of them again where connections were lost.
func anyone[T any, R interface {
	*T
	kmsg.Request
}](ctx context.Context, c *Copier, op string, req R) (resp kmsg.Response, err error) {
	err = c.cfg.Cluster.Tries(ctx, op, anyTries, func() (err error) {
		resp, err = rawkafka.Anyone(ctx, c.cfg.Cluster, req)
		return err
	})
	return resp, err
}

// decisive errors of produce and marker answers.

// appended: the records are in the leader's log, though not yet on all replicas.
func appended(err error) bool {
	return err == nil || errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.NotEnoughReplicasAfterAppend)
}

// elsewhere: another process writes as the same producer, or the log isn't the one that was read.
func elsewhere(err error) bool {
	for _, is := range []error{
		kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.InvalidProducerEpoch, kerr.ProducerFenced,
		kerr.UnknownProducerID, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
