package mirror

import (
	"context"
	"slices"
	"sync"
	"time"

	limit "golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// engine moves batches from the source to the standby: it is the sink of its reader. The reader's
// goroutines queue what they read; workers, as many as have something to do, append it; the
// goroutine that runs loop has everything else done, in lanes by broker.
//
// Topics are changed by the goroutine of discovery alone, partitions by whoever holds mu.
// mu is never held while the reader's methods, hooks or requests are under way.
type engine struct {
	*flow

	copier *exactcopy.Copier
	side   *standby.Side // what copies have in common
	reader *source.Loop
	locks  locks
	keep   *keeper

	wake chan struct{} // something for loop to do

	workers *workers
	lanes   lanes
	memory  *memory // that chunks keep

	method exactcopy.Method // as the plan found it

	agenda   agenda
	refusals refusals
	beats    *beats

	// Of discovery alone: what the plan has just seen, topics that the source has no more, and
	// whether those that went while no mirror ran are settled.
	planned    *looks
	pending    int // topics that aren't taken in yet
	unsure     int // topics that seem to have been deleted while no mirror ran
	lost       map[string]*topic
	absentDone bool

	mu       sync.Mutex
	moved    chan struct{} // closed and replaced when a part's state has changed
	topics   map[string]*topic
	parts    map[rawkafka.Partition]*part
	leftOut  map[string]string
	over     map[*part]struct{}  // those that are held since their broker has filled its part of the memory
	origins  map[string][]string // of the source's topics that are copies: see identity
	draining bool                // nothing is read on any more
}

// looks are what both sides have: all topics of the source, what became of those that are mirrored,
// and of the standby those that copies are named like.
type looks struct {
	all, there map[string]rawkafka.Topic
	became     map[source.Known]source.Verdict
}

// newEngine makes an engine of a flow. Its catalogs are the engine's from now on.
func newEngine(fl *flow) *engine {
	e := &engine{
		flow: fl, beats: fl.newBeats(), memory: newMemory(int(fl.cfg.MemoryBytes / 4 * 3)), wake: make(chan struct{}, 1), moved: make(chan struct{}),
		topics: make(map[string]*topic), parts: make(map[rawkafka.Partition]*part), over: make(map[*part]struct{}), lost: make(map[string]*topic),
	}
	e.agenda.ring = e.poke
	return e
}

// locks keep two processes from making the same hole at once.
type locks interface {
	standby.Locks
	Run(ctx context.Context) error
}

// limiter bounds what is fetched.
func limiter(perSecond int64) *limit.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return limit.NewLimiter(limit.Limit(perSecond), int(min(perSecond, 64<<20)))
}

func (e *engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// tell wakes those who wait; e.mu is held.
func (e *engine) tell() {
	close(e.moved)
	e.moved = make(chan struct{})
}

// lookAt has a partition looked at after a while; e.mu is held.
func (e *engine) lookAt(p *part, after time.Duration) {
	p.LookBy(time.Now().Add(after))
	e.poke()
}

// retry has partitions that have stopped looked at again.
func (e *engine) retry(topics []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		if p.state() == Stopped && (len(topics) == 0 || slices.Contains(topics, p.source)) {
			p.said, p.retried = nil, true
			if p.why != nil && p.why.Event.Kind == TakenOver {
				p.claim.Release()
			}
			e.lookAt(p, 0)
		}
	}
	for _, name := range e.refusals.forgetAll(topics) {
		if t := e.topics[name]; t != nil {
			t.said = nil
		}
		e.agenda.setWhole(false) // a Once waits for what becomes of it
	}
	e.agenda.again()
}
