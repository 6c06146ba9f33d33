package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

func (a *Archive) verifyChain(ctx context.Context, l Lineage) ([]ChainProblem, error) {
	if err := l.validate(); err != nil {
		return nil, err
	}
	last, err := a.listHead(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("storage: verify the log: %w", err)
	}
	v := &chainVerifier{a: a, l: l, damaged: map[int64]bool{}}
	for r, err := range inOrder(ctx, a, sequences(last), func(ctx context.Context, seq int64) entryRead {
		e, err := a.readWholeEntry(ctx, l, seq)
		return entryRead{seq, e, err}
	}) {
		if err = errors.Join(err, v.entry(r)); err != nil {
			return v.problems, fmt.Errorf("storage: verify the log: %w", err)
		}
	}
	if err := errors.Join(v.lost(ctx, last), v.witnesses(ctx)); err != nil {
		return v.problems, fmt.Errorf("storage: verify the log: %w", err)
	}
	return v.problems, nil
}

// chainVerifier walks a log. before is the last entry that was read whole, or nil behind one that
// wasn't.
type chainVerifier struct {
	a      *Archive
	l      Lineage
	before *entry
	broken bool
	claim  int64
	// known are the nonces of the entries that were read, from number 1 on; damaged are the entries
	// that have a problem.
	known    []nonce
	damaged  map[int64]bool
	problems []ChainProblem
}

func (v *chainVerifier) problem(seq int64, kind string, err error) {
	v.damaged[seq] = true
	v.problems = append(v.problems, ChainProblem{Sequence: seq, Object: v.l.logKey(seq), Kind: kind, Detail: err.Error()})
}

// nonce is what a witness's key has of an entry's, if the entry is known.
type nonce struct {
	known bool
	begin [4]byte
}

// entryRead is an entry, or why it couldn't be read.
type entryRead struct {
	seq int64
	e   *entry
	err error
}

// sequences yields 1 to last.
func sequences(last int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for seq := int64(1); seq <= last && yield(seq, nil); seq++ {
		}
	}
}

// witness says whether the key is that of the witness of an entry that was read.
func (v *chainVerifier) witness(key string, seq int64) bool {
	return seq > 0 && seq <= int64(len(v.known)) && v.known[seq-1].known && v.l.witnessAt(seq, v.known[seq-1].begin) == key
}

// entry takes the next entry of the log.
func (v *chainVerifier) entry(r entryRead) error {
	seq, e, err := r.seq, r.e, r.err
	var damage *DamageError
	var version *VersionError
	switch {
	case isAbsent(err):
		v.problem(seq, "missing", errMissing)
	case errors.As(err, &damage):
		v.problem(seq, "damaged", damage.Err)
	case errors.As(err, &version):
		v.problem(seq, "damaged", version)
	case v.a.refuses(err):
		v.problem(seq, "unreadable", err)
	case err != nil:
		return err
	}
	if err != nil {
		v.before, v.broken = nil, true
		v.known = append(v.known, nonce{})
		return nil
	}
	if fault := v.check(e); fault != nil {
		v.problem(seq, "chain", fault)
	}
	v.before, v.broken = e, false
	v.known = append(v.known, nonce{true, [4]byte(e.Nonce[:4])})
	if e.Kind == kindClaim {
		v.claim = e.Sequence
	}
	return nil
}

// check compares an entry with the one before it.
func (v *chainVerifier) check(e *entry) error {
	if e.Kind == kindCommit && e.Sequence == 1 {
		v.claim = 1 // made by NewLineage: a first commit is its own claim
	}
	if g := e.Generation; e.Kind == kindCommit && g > v.claim && g < e.Sequence && !v.known[g-1].known {
		v.claim = g // by an entry that couldn't be read
	}
	if e.Kind == kindCommit && e.Generation != v.claim {
		return fmt.Errorf("a commit of generation %d, while %d had the lineage", e.Generation, v.claim)
	}
	if v.broken {
		return nil
	}
	want := nextRecord(v.l, v.before)
	switch {
	case e.Previous != want.Previous:
		return errors.New("it doesn't follow the entry before it")
	case e.Commit != want.Commit:
		return errors.New("it names another commit before it")
	case e.Complete != want.Complete && e.Complete != (entryRef{Sequence: e.Sequence}):
		return errors.New("it names another complete commit before it")
	}
	return nil
}

// lost looks for segments of generations that the log doesn't know: their claims are gone.
func (v *chainVerifier) lost(ctx context.Context, last int64) error {
	for o, err := range v.a.list(ctx, v.l.segmentPrefix(), "") {
		if err != nil {
			return err
		}
		gen, _, ok := v.l.parseSegmentKey(o.Key)
		if !ok || gen <= last {
			continue
		}
		switch _, err := v.a.readEntry(ctx, v.l, gen, true); {
		case err == nil:
			last = gen // claimed while the log was read
		case !isAbsent(err) && !isSpoilt(err):
			return err
		default:
			v.problem(gen, "lost", fmt.Errorf("the log ends at %d, and segment %s is of generation %d", last, o.Key, gen))
			return nil
		}
	}
	return nil
}

// readWholeEntry reads every byte of an entry, once, and checks it. Damage is read twice before it
// is told.
func (a *Archive) readWholeEntry(ctx context.Context, l Lineage, sequence int64) (*entry, error) {
	e, err := a.readWholeOnce(ctx, l, sequence)
	var damage *DamageError
	if errors.As(err, &damage) {
		return a.readWholeOnce(ctx, l, sequence)
	}
	return e, err
}

// hashBytes are read of an entry at once: in one piece where it isn't larger.
const hashBytes = 512 << 10

// readWholeOnce keeps no more of a large entry than its tail.
func (a *Archive) readWholeOnce(ctx context.Context, l Lineage, sequence int64) (*entry, error) {
	key, sum := l.logKey(sequence), sha256.New()
	var header string
	var tail []byte
	size := int64(hashBytes)
	for position := int64(0); position < size; {
		raw, total, err := a.readRange(ctx, key, true, position, hashBytes)
		if err == nil && len(raw) == 0 {
			err = errTruncated
		}
		if err != nil {
			return nil, a.entryError(key, err)
		}
		if size = total; position == 0 {
			header = string(raw[:min(len(raw), len(entryHeader))])
		}
		sum.Write(raw[:max(0, min(int64(len(raw)), size-footerBytes+36-position))])
		if position += int64(len(raw)); len(tail) > 0 {
			tail = append(tail[max(0, len(tail)-tailBytes):], raw...)
		} else {
			tail = raw
		}
	}
	e, need, err := parseTail(tail)
	if errors.Is(err, errShortTail) && int64(need) <= size {
		if tail, err = a.readExactly(ctx, key, size-int64(need), int64(need)); err == nil {
			e, _, err = parseTail(tail)
		}
	}
	switch {
	case err != nil:
	case header != entryHeader:
		err = fmt.Errorf("%w: no header", wire.ErrMalformed)
	case [32]byte(sum.Sum(nil)) != e.SHA256:
		err = fmt.Errorf("%w: digest mismatch", wire.ErrMalformed)
	case e.Sequence != sequence || e.ClusterID != l.ClusterID:
		err = fmt.Errorf("%w: it is entry %d of cluster %s", wire.ErrMalformed, e.Sequence, e.ClusterID)
	}
	if err != nil {
		return nil, a.entryError(key, err)
	}
	return e, nil
}
