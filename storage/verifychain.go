package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

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
	v := &chainVerifier{a: a, l: l, known: map[string]bool{}, damaged: map[int64]bool{}}
	for seq := int64(1); seq <= last; seq++ {
		if err := v.entry(ctx, seq); err != nil {
			return v.problems, fmt.Errorf("storage: verify the log: %w", err)
		}
	}
	if err := errors.Join(v.lost(ctx, last), v.witnesses(ctx)); err != nil {
		return v.problems, fmt.Errorf("storage: verify the log: %w", err)
	}
	return v.problems, nil
}

// chainVerifier walks a log. before is the last entry that was read whole, or nil behind one that wasn't.
type chainVerifier struct {
	a      *Archive
	l      Lineage
	before *entry
	broken bool
	claim  int64
	// known are the keys of the commits' witnesses, damaged the entries that have a problem.
	known    map[string]bool
	damaged  map[int64]bool
	problems []ChainProblem
}

func (v *chainVerifier) problem(seq int64, kind string, err error) {
	v.damaged[seq] = true
	v.problems = append(v.problems, ChainProblem{Sequence: seq, Object: v.l.logKey(seq), Kind: kind, Detail: err.Error()})
}

func (v *chainVerifier) entry(ctx context.Context, seq int64) error {
	e, err := v.a.readWholeEntry(ctx, v.l, seq)
	var damage *DamageError
	var version *VersionError
	switch {
	case isAbsent(err):
		v.problem(seq, "missing", errMissing)
	case errors.As(err, &damage):
		v.problem(seq, "damaged", damage.Err)
	case errors.As(err, &version):
		v.problem(seq, "damaged", version)
	case err != nil:
		return err
	}
	if err != nil {
		v.before, v.broken = nil, true
		return nil
	}
	if fault := v.check(e); fault != nil {
		v.problem(seq, "chain", fault)
	}
	v.before, v.broken = e, false
	v.known[v.l.witnessKey(&e.record)] = true
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
	if e.Kind == kindCommit && e.Generation != v.claim && !v.broken {
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

// readWholeEntry reads every byte of an entry and checks it.
func (a *Archive) readWholeEntry(ctx context.Context, l Lineage, sequence int64) (*entry, error) {
	e, err := a.readEntry(ctx, l, sequence, true)
	if err != nil {
		return nil, err
	}
	key, sum := l.logKey(sequence), sha256.New()
	header, err := a.hashObject(ctx, key, sum)
	if err != nil {
		return nil, a.entryError(key, err)
	}
	if header != entryHeader || [32]byte(sum.Sum(nil)) != e.SHA256 {
		return nil, &DamageError{Object: key, Err: fmt.Errorf("%w: digest mismatch", wire.ErrMalformed)}
	}
	return e, nil
}

const hashBytes = 1 << 20

// hashObject digests what an entry's digest covers, and returns its first bytes.
func (a *Archive) hashObject(ctx context.Context, key string, sum hash.Hash) (header string, err error) {
	var raw []byte
	var size int64
	for position := int64(0); position == 0 || position < size-footerBytes+36; {
		if raw, size, err = a.readRange(ctx, key, true, position, hashBytes); err != nil {
			return "", err
		}
		if len(raw) == 0 {
			return "", errTruncated
		}
		if position == 0 {
			header = string(raw[:min(len(raw), len(entryHeader))])
		}
		covered := max(0, min(int64(len(raw)), size-footerBytes+36-position))
		sum.Write(raw[:covered])
		position += int64(len(raw))
	}
	return header, nil
}
