package mm2

// slots is how many offset syncs a partition of a [Store] keeps.
const slots = 64

// Store is MirrorMaker's OffsetSyncStore: of all offset syncs of one partition it keeps 64, the
// denser the newer, and translates by them. It is here to tell what MirrorMaker would answer;
// [Translator] does better. The zero value is empty. It isn't safe for concurrent use.
type Store struct {
	// Loading is set while syncs are read that were there before MirrorMaker started and whose
	// checkpoints couldn't be read back: only the newest sync is kept.
	Loading bool
	syncs   *[slots]*OffsetSync
}

// Add takes the partition's next sync. One with a smaller upstream offset than the newest wipes
// what was there.
func (s *Store) Add(o OffsetSync) {
	if s.syncs == nil || s.Loading || o.Upstream < s.syncs[0].Upstream {
		s.syncs = new([slots]*OffsetSync)
		for i := range s.syncs {
			s.syncs[i] = &o
		}
		return
	}
	s.update(&o)
}

// update is Kafka's updateSyncArray: a sync moves to a higher slot, or stays where it is, as long
// as the invariants hold. Syncs are told apart by identity, not by value.
func (s *Store) update(newest *OffsetSync) {
	old := *s.syncs
	syncs := s.syncs
	replacement, next := newest, 0
	syncs[0] = newest
	for i := 1; i < slots; i++ {
		previous := i - 1
		for {
			candidate := old[next]
			separate := invariantC(syncs[previous], candidate, previous)
			// A candidate fits if it is near enough to the slot before, far enough from it, and far
			// enough from the slot behind.
			fits := invariantB(syncs[previous], candidate, previous, i) && separate && (i+1 >= slots || invariantC(candidate, syncs[i+1], i))
			if fits {
				replacement = candidate
			}
			duplicate := next+1 < slots && candidate == old[next+1]
			skip := duplicate || !separate
			if fits || skip {
				next++
			}
			if next >= i || !skip {
				break
			}
		}
		if invariantB(syncs[previous], syncs[i], previous, i) {
			break
		}
		syncs[i] = replacement
	}
}

// invariantB: syncs aren't too far apart for their slots i < j.
func invariantB(a, b *OffsetSync, i, j int) bool {
	bound := b.Upstream + 1<<j - 1<<i
	return a == b || bound < 0 || a.Upstream <= bound
}

// invariantC: syncs aren't too near to each other for the lower slot i.
func invariantC(a, b *OffsetSync, i int) bool {
	bound := b.Upstream + 1<<max(i-2, 0)
	return a == b || bound >= 0 && a.Upstream >= bound
}

// Translate is MirrorMaker's answer: the newest sync at or before upstream, one more where it is
// before. It is false where there is no sync at all, and -1 where all are newer; MirrorMaker writes
// no checkpoint then.
func (s *Store) Translate(upstream int64) (int64, bool) {
	if s.syncs == nil {
		return 0, false
	}
	sync := s.syncs[slots-1]
	for _, o := range s.syncs {
		if o.Upstream <= upstream {
			sync = o
			break
		}
	}
	switch {
	case sync.Upstream > upstream:
		return -1, true
	case sync.Upstream == upstream:
		return sync.Downstream, true
	}
	return sync.Downstream + 1, true
}
