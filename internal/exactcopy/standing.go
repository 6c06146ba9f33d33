package exactcopy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// known is what a leader or a log says about one generation of our producer.
type known struct {
	found    bool
	gen      uint16
	epoch    int16
	sequence int32 // the last one, or -1 behind a marker
}

// memory is what a leader remembers of our producer: at most one entry for each generation. The
// order means nothing.
type memory []known

// facts are what a partition's leader and its log say, in the order in which they were asked for.
type facts struct {
	before    memory
	watermark int64
	end       int64 // the true end, of the same leader: not below the watermark
	tail      known // our last batch, where only control batches lie between it and the end
	after     memory
}

// Reasons to ask again. Each passes.
var (
	errNotReplicated = fmt.Errorf("the log's end isn't on all replicas yet: %w", kerr.UnknownServerError)
	errMoves         = fmt.Errorf("the log grows while it is read: %w", kerr.UnknownServerError)
)

// standing says where our producer stands, or why to ask again. Nothing found means that neither
// the log nor its leader knows it.
//
// The tail of the log decides. A leader keeps one entry for each generation, and drops one whose
// last append has an old timestamp: data of last year soon, a marker only after a day. So it may
// have forgotten the generation at the log's end and remember the one before. Its memory counts
// only where the tail shows nothing of ours, as where all was deleted, or a late marker of a
// generation before the newest: a leader refuses nothing of another producer id.
func (f *facts) standing() (known, error) {
	newest := f.after.newest()
	switch again := f.after.of(f.tail.gen); {
	case f.watermark < f.end:
		// A leader that was replaced while it stood still may tell an end that is cut away, and the
		// next one take what comes behind it: what begins an epoch or an id has no predecessor that
		// a leader would ask for, nor has any batch where the leader has forgotten. Only what all
		// replicas have counts; nothing else can be read, either.
		return known{}, errNotReplicated
	case f.before.newest() != newest:
		return known{}, errMoves
	case !f.tail.found, newest.found && later(newest.gen, f.tail.gen):
		return newest, nil
	case again.found && again.beyond(f.tail):
		return known{}, errMoves
	}
	return f.tail, nil
}

// later says whether a generation comes after another one, across their wrap.
func later(gen, than uint16) bool { return int16(gen-than) > 0 }

// beyond says whether k, of the same generation, shows more than the tail does: the log has grown
// since.
func (k known) beyond(tail known) bool {
	if k.epoch != tail.epoch {
		return k.epoch > tail.epoch
	}
	return k.sequence >= 0 && tail.sequence >= 0 && k.sequence != tail.sequence
}

// of is the entry of a generation.
func (m memory) of(gen uint16) known {
	for _, k := range m {
		if k.gen == gen {
			return k
		}
	}
	return known{}
}

// newest is the entry of the generation that was begun last. Generations are 16 bits and wrap, so
// none is the greatest: the newest is the one that the longest way without an entry follows.
func (m memory) newest() (newest known) {
	sorted := slices.SortedFunc(slices.Values(m), func(a, b known) int { return cmp.Compare(a.gen, b.gen) })
	longest := 0
	for i, k := range sorted {
		way := int(sorted[(i+1)%len(sorted)].gen - k.gen)
		if way == 0 { // once around: it is the only one
			way = generations
		}
		if way > longest {
			newest, longest = k, way
		}
	}
	return newest
}

// landed says whether a batch whose answer doesn't tell is in the log, or why to ask again. this is
// the batch as the log or a leader would show it. The memory and the tail are asked for behind the
// end; the tail only where the end is the batch's.
//
// The log decides. Memory counts only where it is of the batch's own producer id: a leader that
// shows the batch itself needn't be waited for until all replicas have it and it can be read.
func (f *facts) landed(it *item, this known) (bool, error) {
	remembered := f.after.of(this.gen) == this
	switch {
	case f.end == it.base && remembered:
		return false, errMoves
	case f.end == it.base:
		return false, nil
	case f.end != it.end:
		return false, undecided(fmt.Errorf("the log ends at %d, not at %d or %d", f.end, it.base, it.end))
	case remembered:
		return true, nil
	case f.watermark < f.end:
		return false, errNotReplicated
	case f.tail != this:
		return false, undecided(fmt.Errorf("other records end at %d", f.end))
	}
	return true, nil
}
