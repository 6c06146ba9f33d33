package mirror

import (
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// topic is a topic that is mirrored.
type topic struct {
	pair
	traits
	rf        int16
	created   bool // by this run
	parts     []*part
	described time.Time            // when the traits were read
	claim     *standby.Claim       // for holes; nil before its copy is there
	said      map[EventKind]string // events of the whole topic, told once
}

// pair is a topic of the source and its copy. An ID is zero where it isn't known, or any.
type pair struct {
	source, target     string
	sourceID, targetID kadm.TopicID
}

func (t pair) atSource() source.Known  { return source.Known{Name: t.source, ID: t.sourceID} }
func (t pair) onStandby() source.Known { return source.Known{Name: t.target, ID: t.targetID} }

// newPart begins with a partition of a topic.
func newPart(t *topic, n int32, side *standby.Side) *part {
	p := &part{
		topic: t,
		src:   rawkafka.Partition{Topic: t.source, TopicID: t.sourceID, Partition: n},
		dst:   rawkafka.Partition{Topic: t.target, TopicID: t.targetID, Partition: n},
		fill:  -1, end: -1, hw: -1, lso: -1, logStart: -1, standbyStart: -1, stuckAt: -1, broker: -1,
	}
	p.copy = standby.New(side, t.claim, p.dst)
	return p
}

// part is a partition that is mirrored. Everything is guarded by the engine's lock but the copy,
// which has one of its own.
type part struct {
	*topic
	source.Following
	src, dst rawkafka.Partition
	copy     *standby.Copy

	why       *EventError // why it has stopped
	was       *EventError // why it had stopped, while it isn't known that this is over
	last      *Event
	working   bool   // a worker has it, or it stands in the line
	broker    int32  // of the standby, that led it when that was last known; -1: not yet
	queuedFor int32  // the broker that it was queued for
	giveUp    func() // ends the wait of the worker that has, or had it; nil: none had yet

	// Positions. next is where the fetcher goes on, checked where the standby ended when it was
	// looked at. How far it has got is the copy's to know.
	next, checked int64
	epoch         int32 // the source's leader epoch under which checked was found right; -1: any
	// fill: the log starts there, and everything below is filler until it is deleted; -1: that is
	// done.
	fill int64
	// end is where a Once ends; -1: nowhere.
	end int64

	// The source's, and the standby's log start; -1: not known.
	hw, lso, logStart int64
	standbyStart      int64
	heard             time.Time // when the source last said them
	stuck             time.Time // since when the last stable offset stands still below the high watermark
	stuckAt           int64     // the last stable offset that was said to be stuck; -1: none
	undurable         waiting   // for the standby's replicas
	behind            time.Time // since when something isn't appended; zero: nothing
	caught            bool      // it wasn't behind once, since it was taken in
	trimmed           int       // how often in a row the standby's log has started beyond the source's

	chunks []*chunk
	queued int       // bytes that they keep
	sent   []keeping // of chunks that the copier has
	tail   tail      // of what is queued

	beats []byte // appended heartbeats that weren't heard yet

	note     identity // as the ledger has it; zero: not at all
	batch    tail     // of what is appended
	noteSoon bool
	noted    bool // by this process

	shifted *Event // the copier said so
	skip    int64  // a hole is to be made up to there; 0: none
	failed  error  // why it is to be looked at, where that says more than looking
	retried bool   // it has stopped, and Retry was asked for
	moves   int    // how often somebody else had written, since something was appended
	doubt   doubt

	rateRecords, rateBytes rate
}

// waiting is a wait that may have no end: where it stands, since when, and whether that was said.
type waiting struct {
	at    int64
	since time.Time
	said  bool
}

// stands takes in where a wait stands, and says whether that is to be said now, once.
func (w *waiting) stands(waits bool, at int64, now time.Time) bool {
	switch {
	case !waits:
		*w = waiting{}
	case w.since.IsZero() || w.at != at:
		*w = waiting{at: at, since: now, said: w.said}
	case !w.said && now.Sub(w.since) > stuckFor:
		w.said = true
		return true
	}
	return false
}

// doubt is what has failed and isn't known to work again, though the partition could be looked at.
type doubt int8

const (
	noDoubt   doubt = iota
	reading         // until something is fetched
	appending       // until the standby's log has grown
)

// well forgets that the partition failed; the engine's lock is held.
func (p *part) well() {
	p.Well()
	p.doubt = noDoubt
}

// state is the stage as a Status has it.
func (p *part) state() State {
	switch p.Stage() {
	case source.Waiting:
		return Opening
	case source.Stopped, source.Dropped:
		return Stopped
	case source.Done:
		return Done
	case source.Reading, source.Held, source.Ended, source.Broken:
	}
	return Copying
}

// right says that what is queued is right, so far.
func (p *part) right() bool {
	s := p.Stage()
	return s == source.Reading || s == source.Held || s == source.Ended
}

// tail is the last batch of a log.
type tail struct {
	base, end int64
	epoch     int32
	crc       uint32
}

// chunk is what was fetched of a partition and isn't appended yet.
type chunk struct {
	base, end int64 // [base, end) is known whole: what has no record in it is a hole
	stable    int64 // the last stable offset that came along
	raw       []byte
	aborted   []batch.AbortedTxn
	first     int64 // timestamp of the first record
	tail      tail
	keeps     keeping
}

// rate is a smoothed count per second.
type rate struct {
	last  int64
	value float64
}

func (r *rate) tick(now int64, seconds float64) {
	if seconds <= 0 {
		return
	}
	const smooth = 0.3
	r.value += smooth * (float64(now-r.last)/seconds - r.value)
	if r.last = now; r.value < 0.01 {
		r.value = 0
	}
}

// copied is what is known of the partition's copy.
func (p *part) copied() copied {
	return copied{src: p.src, dst: p.dst, traits: p.traits, durable: p.copy.Durable(), batch: p.batch, shifted: p.shifted}
}

func (p *part) gone() bool { return p.state() == Stopped || p.state() == Done }

// stable is up to where the source may be mirrored.
func (p *part) stable() int64 { return p.lso }

// reached takes in how far the copy has got; the engine's lock is held.
func (p *part) reached() {
	if p.copy.Reached() && p.doubt == appending {
		p.well()
	}
}

// waits is since when the topic's holes wait for its claim; zero: none does.
func (t *topic) waits() time.Time {
	if t.claim == nil {
		return time.Time{}
	}
	return t.claim.Waits()
}

// lag is how many offsets aren't appended yet.
func (p *part) lag() int64 {
	stable := p.stable()
	position := p.copy.Position()
	if stable < 0 || position < 0 {
		return 0
	}
	return max(0, stable-max(position, min(p.logStart, stable)))
}

// oldest is the age of the oldest record that isn't appended.
func (p *part) oldest(now time.Time) time.Duration {
	if p.lag() == 0 {
		return 0
	}
	since := p.behind
	if since.IsZero() && p.why != nil && p.state() == Stopped {
		since = p.why.Event.Time
	}
	if len(p.chunks) > 0 {
		if first := time.UnixMilli(p.chunks[0].first); p.chunks[0].first > 0 && (since.IsZero() || first.Before(since)) {
			since = first
		}
	}
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since), 0)
}

// abandon has a worker give the partition up, where one has it: what it waits for may never come.
// e.mu is held.
func (p *part) abandon() {
	if p.working && p.giveUp != nil {
		p.giveUp()
	}
}
