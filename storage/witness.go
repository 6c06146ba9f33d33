package storage

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// A log's end can't show that an entry behind it is gone. So each full snapshot has a witness
// beside the log, written after it: an empty object whose key is the snapshot's number and nonce.
// Readers don't need it, and a crash before it was written does no harm; one without its entry is a
// commit that was lost. Such a one stays, and is reported, until a later full snapshot has been
// taken and a sweep has removed it.

const witnessTimeout = 5 * time.Second

func (l Lineage) witnessPrefix() string { return l.prefix() + "end/" }

func (l Lineage) witnessKey(r *record) string {
	return l.witnessAt(r.Sequence, [4]byte(r.Nonce[:4]))
}

func (l Lineage) witnessAt(sequence int64, nonce [4]byte) string {
	return fmt.Sprintf("%s%012d-%x", l.witnessPrefix(), sequence, nonce)
}

// witness writes a commit's. The commit stands without it, so it is tried once and not for long.
func (a *Archive) witness(ctx context.Context, l Lineage, r *record) {
	key := l.witnessKey(r)
	ctx, cancel := context.WithTimeout(ctx, min(a.cfg.OperationTimeout, witnessTimeout))
	defer cancel()
	err := a.putOnce(ctx, key, nil)
	a.operation("put", key, 0, err)
	if err != nil && !isConflict(err) {
		a.log.WarnContext(ctx, "a snapshot is committed, its witness couldn't be written", "key", key, "err", err)
	}
}

// witnessBlock numbers have a listing's common prefix.
const witnessBlock = 1000

// lostSnapshot is a DamageError where a full snapshot later than the newest commit, which may be
// nil, has a witness and no entry. Only the numbers around the log's end are looked at; VerifyChain
// looks at all.
func (a *Archive) lostSnapshot(ctx context.Context, l Lineage, newest *entry, head int64) error {
	var last int64
	if newest != nil {
		last = newest.Sequence
	}
	lastBlock := (head + 1) / witnessBlock
	for block := max(last/witnessBlock, lastBlock-1); block <= lastBlock; block++ {
		for o, err := range a.list(ctx, fmt.Sprintf("%s%09d", l.witnessPrefix(), block), "") {
			if err != nil {
				return err
			}
			number, nonce, _ := strings.Cut(strings.TrimPrefix(o.Key, l.witnessPrefix()), "-")
			seq, ok := parseDigits(number)
			if !ok || seq <= last {
				continue
			}
			e, err := a.readEntry(ctx, l, seq, true)
			var fault error
			switch {
			case isAbsent(err):
				fault = fmt.Errorf("%w, and there was a snapshot %06d-%s", errMissing, seq, nonce)
			case err != nil:
				return err
			case l.witnessKey(&e.record) != o.Key:
				fault = fmt.Errorf("it is another entry, and there was a snapshot %06d-%s", seq, nonce)
			}
			if fault == nil {
				continue
			}
			if before, err := a.beforeWitness(ctx, l, newest, o); before || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			return &DamageError{Object: l.logKey(seq), Err: fault}
		}
	}
	return nil
}

// beforeWitness says whether a lost snapshot is older than the newest full one of a commit,
// although its number is higher: an operator had moved its entry away with others, and the log went
// on from before them. So says the store's clock, by which the one's witness was written before the
// other's; and the lost one's witness was there before the other was begun, which no copy of an
// archive shows.
func (a *Archive) beforeWitness(ctx context.Context, l Lineage, e *entry, lost *blob.ListObject) (bool, error) {
	known, last, err := a.witnessed(ctx, l, e)
	if err != nil || last.Sequence == 0 {
		return false, err
	}
	for o, err := range a.list(ctx, fmt.Sprintf("%s%012d-", l.witnessPrefix(), last.Sequence), "") {
		if err != nil {
			return false, err
		}
		if known[o.Key] {
			return lost.ModTime.Before(o.ModTime) && lost.ModTime.Before(last.CreatedAt), nil
		}
	}
	return false, nil
}

// witnesses checks that every commit that has a witness is there.
func (v *chainVerifier) witnesses(ctx context.Context) error {
	for o, err := range v.a.list(ctx, v.l.witnessPrefix(), "") {
		if err != nil {
			return err
		}
		number, nonce, _ := strings.Cut(strings.TrimPrefix(o.Key, v.l.witnessPrefix()), "-")
		seq, _ := parseDigits(number)
		if v.witness(o.Key, seq) || v.damaged[seq] {
			continue
		}
		if e, err := v.a.readEntry(ctx, v.l, seq, true); err == nil && v.l.witnessKey(&e.record) == o.Key {
			continue // committed while the log was read
		} else if err != nil && !isAbsent(err) && !isSpoilt(err) {
			return err
		}
		v.problem(seq, "lost", fmt.Errorf("there was a snapshot %06d-%s; once a later full one is taken, a sweep ends this report", seq, nonce))
	}
	return nil
}

// overtaken yields the witnesses of full snapshots that the log up to e doesn't have, although a
// later full one was taken.
func (a *Archive) overtaken(ctx context.Context, l Lineage, e *entry) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		known, last, err := a.witnessed(ctx, l, e)
		if err != nil {
			yield(nil, err)
			return
		}
		var at time.Time // of the newest known one
		for o, err := range a.list(ctx, l.witnessPrefix(), "") {
			if err == nil {
				number, _, _ := strings.Cut(strings.TrimPrefix(o.Key, l.witnessPrefix()), "-")
				seq, ok := parseDigits(number)
				if known[o.Key] {
					at = o.ModTime
				}
				older := o.ModTime.Before(at) && o.ModTime.Before(last.CreatedAt)
				if !ok || known[o.Key] || seq > last.Sequence && !older {
					continue
				}
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// witnessed are the keys that the witnesses of the full snapshots up to e have, and the last of
// these.
func (a *Archive) witnessed(ctx context.Context, l Lineage, e *entry) (known map[string]bool, last Info, err error) {
	known = map[string]bool{}
	if e == nil {
		return known, last, nil
	}
	s := a.snapshot(l, e)
	decode := func(key, value []byte) (Info, error) { return decodeSummary(l, key, value) }
	for info, err := range items(ctx, s, []byte{'s'}, decode) {
		if err != nil {
			return nil, Info{}, err
		}
		_, nonce, _ := strings.Cut(info.ID, "-")
		known[fmt.Sprintf("%s%012d-%s", l.witnessPrefix(), info.Sequence, nonce)] = true
		last = info
	}
	return known, last, nil
}
