package batch

import (
	"cmp"
	"slices"
)

// AbortedTxn is an aborted transaction that overlaps a run, as a fetch
// response at read_committed lists it: from FirstOffset on, batches of
// ProducerID are aborted until that producer's next control batch.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// Compare orders transactions by first offset, then by producer id.
func (a AbortedTxn) Compare(b AbortedTxn) int {
	return cmp.Or(cmp.Compare(a.FirstOffset, b.FirstOffset), cmp.Compare(a.ProducerID, b.ProducerID))
}

// AbortTracker decides, batch by batch in offset order, which batches are
// aborted. What the fetch responses list decides, not the markers alone: the
// last stable offset may lie between an aborted transaction's batches and its
// marker. The zero value knows of no transaction. Not safe for concurrent use.
type AbortTracker struct {
	producers map[int64]*producer
}

// producer is what a tracker knows of one producer id.
type producer struct {
	open    []int64 // first offsets of aborted transactions not ended yet, ascending
	control int64   // offset of its last control batch, or -1
}

// idleProducers is how many producers without an aborted transaction a
// tracker remembers, so that one listed again after its end stays ended.
const idleProducers = 4096

func (t *AbortTracker) producer(id int64) *producer {
	p := t.producers[id]
	if p != nil {
		return p
	}
	if t.producers == nil {
		t.producers = map[int64]*producer{}
	}
	if len(t.producers) >= 2*idleProducers {
		t.forget()
	}
	p = &producer{control: -1}
	t.producers[id] = p
	return p
}

// forget drops the idle producers whose last control batch is oldest.
func (t *AbortTracker) forget() {
	var ends []int64
	for _, p := range t.producers {
		if len(p.open) == 0 {
			ends = append(ends, p.control)
		}
	}
	if len(ends) <= idleProducers {
		return
	}
	slices.Sort(ends)
	oldest := ends[len(ends)-idleProducers]
	for id, p := range t.producers {
		if len(p.open) == 0 && p.control < oldest {
			delete(t.producers, id)
		}
	}
}

// Add notes aborted transactions; those known and those that have ended are ignored.
func (t *AbortTracker) Add(txns ...AbortedTxn) {
	for _, txn := range txns {
		p := t.producer(txn.ProducerID)
		i, known := slices.BinarySearch(p.open, txn.FirstOffset)
		if known || txn.FirstOffset <= p.control {
			continue
		}
		p.open = slices.Insert(p.open, i, txn.FirstOffset)
	}
}

// Aborted says whether the batch belongs to an aborted transaction, and takes
// note of control batches, which belong to none. Batches must be offered in
// offset order, each once; those that are known not to matter may be left out.
func (t *AbortTracker) Aborted(b Batch) bool {
	switch {
	case b.Control():
		p := t.producer(b.ProducerID())
		p.control = b.BaseOffset()
		ended, _ := slices.BinarySearch(p.open, p.control)
		p.open = p.open[ended:]
		return false
	case !b.Transactional() || len(t.producers) == 0:
		return false
	}
	p := t.producers[b.ProducerID()]
	return p != nil && len(p.open) > 0 && p.open[0] < b.EndOffset()
}

// Open returns the transactions that still matter for batches from offset
// on, by first offset: those to note in a run that begins there. Every batch
// below offset must have been offered.
func (t *AbortTracker) Open(offset int64) []AbortedTxn {
	var txns []AbortedTxn
	for id, p := range t.producers {
		for _, first := range p.open {
			txns = append(txns, AbortedTxn{ProducerID: id, FirstOffset: first})
		}
	}
	slices.SortFunc(txns, AbortedTxn.Compare)
	return txns
}
