package rawkafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// FetchConfig is how a Fetcher reads. The zero value is the default.
type FetchConfig struct {
	// MaxBytes bounds one response, in bytes; a larger batch comes alone. Two
	// responses a broker can be in memory: one is handled while the next is
	// under way. Default 8 MiB.
	MaxBytes int32
	// MaxWait is how long a broker waits for data. Default 500 ms.
	MaxWait time.Duration
	// Linger is the pause after a response of less than 64 KiB, so that a
	// trickle of records doesn't make a request each. Default 20 ms.
	Linger time.Duration
	// Rack is the client's rack: replicas in it are read from (KIP-392).
	Rack string
	// InTurn asks for a partition only when the handler has taken what came of it
	// before: for one that pauses partitions, which would be sent what it
	// has no room for. Default: the next response is asked for meanwhile.
	InTurn bool
	// Limiter bounds the bytes fetched. Default: no bound.
	Limiter *rate.Limiter
}

func (c FetchConfig) withDefaults() FetchConfig {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 8 << 20
	}
	if c.MaxWait <= 0 {
		c.MaxWait = 500 * time.Millisecond
	}
	if c.Linger <= 0 {
		c.Linger = 20 * time.Millisecond
	}
	return c
}

// Position is where a Fetcher begins, and how far it goes.
type Position struct {
	// Offset is the first offset to read.
	Offset int64
	// Until ends the reading: nothing is asked for at or beyond it. 0 is no end.
	Until int64
	// CurrentEpoch is the leader epoch under which Offset was found right; a
	// leader of another one is a [ErrLeaderChanged]. -1: any.
	CurrentEpoch int32
	// LastEpoch is the leader epoch of the last batch before Offset, for the
	// broker to compare (KIP-595's last fetched epoch). -1: not compared.
	LastEpoch int32
	// Tag comes along with what is fetched from here on.
	Tag int64
	// Log is what the topic's configs say of it. Default: cleanup.policy=delete, on the brokers'
	// disks.
	Log Log
}

// Fetched is what one response has of one partition.
type Fetched struct {
	Partition
	// Position is the offset that was asked for, Tag the one that was set with it.
	Position, Tag int64
	// Batches are whole batches of magic 2, their CRC checked, back to back, for [batch.All]. The
	// first may begin before Position. The handler may keep and change them; they keep the Response
	// in memory.
	Batches []byte
	// Response is what the batches are a part of, the same for all partitions of one.
	Response *Response
	// Aborted lists the aborted transactions that overlap the batches.
	Aborted []batch.AbortedTxn
	// HighWatermark, LastStable and LogStart are the offsets that came along.
	HighWatermark, LastStable, LogStart int64
	// VoidTo says that no batch lies in [Position, VoidTo): the topic's policy
	// compacts, and asked for alone, several times over seconds, the broker had
	// none. The Fetcher goes on behind it. 0: it doesn't say so.
	VoidTo int64
}

// Response is a response of a broker's.
type Response struct {
	// Bytes is about how much memory it takes.
	Bytes int
}

// Handler takes what a Fetcher reads. Its methods are called concurrently for
// partitions of different brokers.
type Handler interface {
	// Fetched takes data, in offset order per partition: where Position isn't
	// the end of what came before, the partition was moved meanwhile and the
	// data is to be dropped. While it
	// runs, at most one more response is asked for of that broker. An error
	// ends Run.
	Fetched(ctx context.Context, f Fetched) error
	// Failed says that a partition was removed from the Fetcher, and why:
	// [ErrLeaderChanged], [ErrDiverged], kerr.OffsetOutOfRange, an error that
	// is [Unknown], one that doesn't pass by itself, or one that didn't
	// within Config.RetryFor, an *[EmptyError] among them. It must not block.
	Failed(p Partition, err error)
}

// Reasons why a partition's position must be looked at before it is read on.
var (
	// ErrLeaderChanged: another leader epoch than the one the position was found right under.
	ErrLeaderChanged = errors.New("rawkafka: the partition's leader has changed")
	// ErrDiverged: the leader's log has another history below the position.
	ErrDiverged = errors.New("rawkafka: the leader's log diverges below the position")
)

// Fetcher reads many partitions. Its methods are safe for concurrent use.
type Fetcher struct {
	c   *Cluster
	cfg FetchConfig
	h   Handler

	wake chan struct{} // something is to be assigned

	mu      sync.Mutex
	parts   map[Partition]*reading
	serving map[lane]*server
	beside  *Cluster // for what is asked for alone; nil: nothing was yet
}

// reading is the state of a partition that is read.
type reading struct {
	Partition
	offset, until    int64 // the next to ask for; stays below until
	epoch, lastEpoch int32
	tag              int64
	broker           int32 // -1: not assigned
	solo             bool  // assigned to the broker's loop of those alone
	replica          int32 // the preferred one; -1: the leader
	replicaEnds      time.Time
	finished         bool // until is reached
	log              Log
	alone            bool    // to be asked for alone: it is behind in tiered storage, or seems to be void
	empty            Empties // answers of offset
	removed          bool
	paused           bool      // not to be assigned
	handled          bool      // the handler has all that came; else it isn't asked for, in turn
	due              time.Time // not to be assigned before
	tries, corrupt   int
	since            time.Time // of the first try that failed
}

// NewFetcher makes a Fetcher that hands what it reads to h.
func NewFetcher(c *Cluster, cfg FetchConfig, h Handler) *Fetcher {
	return &Fetcher{
		c: c, cfg: cfg.withDefaults(), h: h,
		wake:    make(chan struct{}, 1),
		parts:   make(map[Partition]*reading),
		serving: make(map[lane]*server),
	}
}

// Set reads the partition from a position on; what was under way of it before
// is dropped, unless the partition was paused right there: then it is read on.
func (f *Fetcher) Set(p Partition, at Position) {
	if at.Until <= 0 {
		at.Until = math.MaxInt64
	}
	f.mu.Lock()
	if r := f.parts[p]; r != nil && r.pausedAt(at) {
		r.paused, r.alone = false, r.log.Remote // it may have been moved to tiered storage meanwhile
		f.mu.Unlock()
		f.poke()
		return
	}
	f.removeLocked(p)
	f.parts[p] = &reading{
		Partition: p, offset: at.Offset, until: at.Until, epoch: at.CurrentEpoch, lastEpoch: at.LastEpoch, tag: at.Tag,
		log: at.Log, alone: at.Log.Remote, broker: -1, replica: -1, finished: at.Offset >= at.Until, handled: true,
	}
	f.mu.Unlock()
	f.poke()
}

// pausedAt says that the partition is paused and would go on at a position.
func (r *reading) pausedAt(at Position) bool {
	return r.paused && r.offset == at.Offset && r.until == at.Until && r.tag == at.Tag && r.log == at.Log && (r.epoch == at.CurrentEpoch || at.CurrentEpoch < 0)
}

// Pause asks for nothing more of the partition, until it is Set again. What was
// asked for still comes.
func (f *Fetcher) Pause(p Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.parts[p]; r != nil {
		r.paused = true
		f.unassign(r)
	}
}

// Remove reads the partition no more.
func (f *Fetcher) Remove(p Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(p)
}

func (f *Fetcher) removeLocked(p Partition) {
	if r := f.parts[p]; r != nil {
		r.removed = true
		f.unassign(r)
		delete(f.parts, p)
	}
}

func (f *Fetcher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run reads until the context ends or the handler fails. What isn't set yet
// may be set meanwhile.
func (f *Fetcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.assign(ctx, g) })
	err := g.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.serving)
	for _, r := range f.parts {
		r.broker = -1
	}
	if f.beside != nil {
		f.beside.Close()
		f.beside = nil
	}
	return err
}

// failed notes that a partition couldn't be read: it is tried again after a
// pause, perhaps elsewhere, or given up.
func (f *Fetcher) failed(r *reading, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failedLocked(r, err)
}

func (f *Fetcher) failedLocked(r *reading, err error) {
	if r.removed {
		return
	}
	f.unassign(r)
	if r.replica >= 0 { // the leader decides
		r.replica, r.replicaEnds = -1, time.Now().Add(replicaPause)
		f.poke()
		return
	}
	f.c.Forget(r.Partition)
	if r.tries == 0 {
		r.since = time.Now()
	}
	r.tries++
	passes := Retriable(err) || Unknown(err) && r.tries == 1 || isCorrupt(err) && r.corrupt < maxCorrupt
	if !passes || time.Since(r.since) > f.c.cfg.RetryFor {
		r.removed = true
		delete(f.parts, r.Partition)
		f.h.Failed(r.Partition, err)
		return
	}
	r.due = time.Now().Add(Backoff(r.tries))
	f.c.retrying("fetch "+r.String(), err)
	f.poke()
}

const (
	replicaPause = 5 * time.Minute // as Java's client: how long a preferred replica is kept, or kept away from
	maxCorrupt   = 5
)

type corruptError struct{ err error }

func (e *corruptError) Error() string { return e.err.Error() }
func (e *corruptError) Unwrap() error { return e.err }

func isCorrupt(err error) bool {
	var ce *corruptError
	return errors.As(err, &ce) || errors.Is(err, kerr.CorruptMessage)
}

func corrupt(format string, args ...any) error {
	return &corruptError{fmt.Errorf(format, args...)}
}
