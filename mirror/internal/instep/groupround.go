package instep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const leftActive = "it has members on the standby; its offsets there are left alone"

// round is one Sync's work on groups.
type round struct {
	s      *Groups
	now    time.Time
	ix     *index
	report Report
	plan   *GroupsPlan

	src, dst           map[string]listed
	srcWhole, dstWhole bool

	mu       sync.Mutex // while requests are under way
	scratch  marks
	want     map[string]*wanted
	unstable []string
	failed   []failure
	seen     map[string]bool
	due      int // how many may be refreshed early in this round
	idle     int // how many that don't change may be looked at
}

// wanted is a group that there is something to do for: its offsets at the source, clamped.
type wanted struct {
	marks          marks
	whole          bool // all offsets could be read
	refresh, known bool // known: it may be looked at, but hasn't changed
	gone           bool // the source has it no more, and it is to be deleted
	there          marks
	looked         bool
}

type failure struct {
	group string
	err   error
}

// list asks both sides for their groups. One broker that doesn't answer costs the groups that only
// it knows.
func (r *round) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.s.patience())
	defer cancel()
	var srcUnread, dstUnread []string
	var srcErr, dstErr error
	var wg sync.WaitGroup
	wg.Go(func() { r.src, srcUnread, srcErr = listGroups(ctx, r.s.cfg.Source) })
	wg.Go(func() { r.dst, dstUnread, dstErr = listGroups(ctx, r.s.cfg.Target) })
	wg.Wait()
	switch {
	case srcErr != nil:
		return fmt.Errorf("instep: groups: source: %w", srcErr)
	case dstErr != nil:
		return fmt.Errorf("instep: groups: target: %w", dstErr)
	}
	r.srcWhole, r.dstWhole = len(srcUnread) == 0, len(dstUnread) == 0
	r.report.Failed += len(srcUnread) + len(dstUnread)
	for _, why := range append(srcUnread, dstUnread...) {
		r.note(Event{Kind: GroupsUnread, Detail: why}, why)
	}
	return nil
}

func (r *round) note(e Event, key string) { r.s.notices.note(&r.report, e, key) }

// readSource reads the offsets of all groups. Those with transactional commits under way are asked
// for again, for what was committed before.
func (r *round) readSource(ctx context.Context) {
	var names []string
	for name, l := range r.src {
		switch {
		case !r.s.cfg.takes(name):
		case l.kind == shareGroup:
			r.note(Event{Kind: GroupShare, Group: name, Detail: "a share group's state isn't carried (KIP-932)"}, "")
		default:
			names = append(names, name)
		}
	}
	if !r.srcWhole { // it may still be there, with another coordinator
		for name := range r.s.groups {
			if _, listed := r.src[name]; !listed {
				names = append(names, name)
			}
		}
	}
	n := len(r.s.groups)
	r.due = share(n, 4*r.s.cfg.Interval, r.s.keep)
	r.idle = share(n, r.s.cfg.Interval, r.s.cfg.Look)
	r.seen = make(map[string]bool, len(names))
	fetchOffsets(ctx, r.s.cfg.Source, r.s.patience(), byBroker(names, r.src), true, func(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil && r.ix.unstable(g, version) {
			r.unstable = append(r.unstable, name)
			return
		}
		r.take(name, g, version, err)
	})
	pending := r.unstable
	fetchOffsets(ctx, r.s.cfg.Source, r.s.patience(), byBroker(pending, r.src), false, func(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.take(name, g, version, err)
	})
	r.notePending(pending)
}

// share is how many of n are done each part, so that all are in the whole; a few at least.
func share(n int, part, whole time.Duration) int {
	const few = 50
	return max(few, int(int64(n)*int64(part)/int64(max(whole, part))+1))
}

// take takes in what a group has committed at the source. r.mu is held.
func (r *round) take(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error) {
	if err != nil {
		r.failed = append(r.failed, failure{name, err})
		return
	}
	r.seen[name] = true
	ms, clamped, whole := r.ix.wanted(g, version, r.scratch)
	r.scratch = ms
	st := r.s.groups[name]
	if len(ms) == 0 && st == nil {
		return
	}
	r.report.Groups++
	r.report.Clamped += clamped
	if st == nil {
		st = &groupState{}
		r.s.groups[name] = st
	}
	st.missing = 0
	w := wanted{whole: whole}
	switch age := r.now.Sub(st.refreshed); {
	case st.refreshed.IsZero():
	case age >= r.s.keep:
		w.refresh = true
	case age >= r.s.keep/2 && r.due > 0:
		w.refresh = true
		r.due--
	}
	changed := ms.changed(st.have) || whole && r.s.cfg.Gone == GoneDeleted && len(ms) < len(st.have)
	if !changed && !w.refresh {
		if r.now.Sub(st.looked) < r.s.cfg.Look || r.idle <= 0 {
			return
		}
		r.idle--
		w.known = true
	}
	if r.dst[name].active() || st.diverged != "" && r.now.Sub(st.looked) < r.s.cfg.Look {
		return // it is left alone, or was looked at a moment ago
	}
	w.marks = slices.Clone(ms)
	r.want[name] = &w
}

// notePending names groups whose transactional commits are pending for long: shorter ones come and
// go all the time.
func (r *round) notePending(names []string) {
	slices.Sort(names)
	r.report.Pending = names[:min(len(names), 100)]
	is := make(map[string]bool, len(names))
	for _, name := range names {
		is[name] = true
		st := r.s.groups[name]
		if st == nil {
			continue
		}
		if st.pending.IsZero() {
			st.pending = r.now
		}
		if r.now.Sub(st.pending) >= r.s.cfg.Pending {
			r.note(Event{Kind: GroupPending, Group: name, Detail: fmt.Sprintf(
				"a transactional commit is pending since %s; what was committed before is carried", st.pending.UTC().Format(time.RFC3339))}, "")
		}
	}
	for name, st := range r.s.groups {
		if !is[name] {
			st.pending = time.Time{}
		}
	}
}

// look reads what the standby has of the groups that there is something to do for: nothing is
// committed unseen.
func (r *round) look(ctx context.Context) {
	var names []string
	for name, w := range r.want {
		switch _, listed := r.dst[name]; {
		case listed || !r.dstWhole:
			names = append(names, name)
		default:
			w.looked = true // it has nothing there
		}
	}
	fetchOffsets(ctx, r.s.cfg.Target, r.s.patience(), byBroker(names, r.dst), false, func(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error) {
		var there marks
		if err == nil {
			there = r.ix.present(g, version)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.failed = append(r.failed, failure{name, err})
			return
		}
		r.want[name].there, r.want[name].looked = there, true
	})
}

// decide judges every group that was looked at, and plans.
func (r *round) decide() {
	for _, name := range slices.Sorted(maps.Keys(r.want)) {
		w, st := r.want[name], r.s.groups[name]
		if !w.looked {
			continue
		}
		r.judge(name, st, w)
		if st.diverged != "" && r.s.cfg.Diverged != Overwrite {
			continue
		}
		if w.gone {
			if st.ours && st.diverged == "" && len(st.have) > 0 {
				r.plan.add(GroupChange{Group: name, Delete: true, state: st})
			}
			continue
		}
		if st.refreshed.IsZero() { // when was it? soon, but not all at once
			st.refreshed = r.now.Add(-r.s.keep / 2)
		}
		if c, ok := r.ix.change(name, st, w.marks, w.whole, w.refresh, r.s.cfg.Gone); ok {
			r.plan.add(c)
		}
	}
	r.s.each(r.noteState)
	slices.SortFunc(r.failed, func(a, b failure) int { return strings.Compare(a.group, b.group) })
	r.noteFailed()
}

// judge looks at what the standby has, and whose it is.
func (r *round) judge(name string, st *groupState, w *wanted) {
	st.looked = r.now
	note, known := r.s.notes.notes[name]
	if st.judge(w.there, w.marks, note, known) {
		r.note(Event{Kind: GroupAdopted, Group: name, Detail: "offsets that an administrator had committed on the standby are replaced by the source's"}, "")
	}
	if st.diverged != "" && r.s.cfg.Diverged == Overwrite {
		st.have, st.ours, st.tried = w.there, true, nil
	}
}

// noteState names groups that are left alone.
func (r *round) noteState(name string, st *groupState) {
	was := st.active
	if st.active = r.dst[name].active(); was && !st.active {
		st.looked = time.Time{}
	}
	switch {
	case st.active:
		r.report.Active++
		r.note(Event{Kind: GroupActive, Group: name, Detail: leftActive}, "")
	case st.diverged != "":
		r.report.Diverged++
		r.note(Event{Kind: GroupDiverged, Group: name, Detail: st.diverged}, "")
	}
}

// noteFailed names groups whose offsets couldn't be read or committed; of many, some.
func (r *round) noteFailed() {
	const most = 20
	for i, f := range r.failed {
		if i >= most {
			r.note(Event{Kind: GroupFailed, Detail: fmt.Sprintf("other groups too: %v", f.err)}, f.err.Error())
			continue
		}
		r.note(Event{Kind: GroupFailed, Group: f.group, Detail: f.err.Error()}, "")
	}
	r.report.Failed += len(r.failed)
	r.failed = nil
}
