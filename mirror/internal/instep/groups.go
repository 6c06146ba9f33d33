package instep

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Groups keeps committed offsets in step: of classic, KIP-848 and streams groups, active at the
// source or not. What a group has committed at the source it gets on the standby, never ahead of
// what is durable there and never below the log start; a rewind follows. Unchanged offsets are
// committed again before the standby lets them expire. A group that has members on the standby, or
// whose offsets there somebody else has moved, is left alone and named. Use [NewGroups]; one Sync
// at a time, and [Groups.Close] at the end.
//
// Commits are an administrator's, with leader epoch -1: a coordinator takes them only while the
// group has no members. Between looking at the standby's offsets and committing lies a moment in
// which a commit of somebody else's would be lost; a member's can't be, since the coordinator
// refuses ours then.
type Groups struct {
	cfg     GroupsConfig
	notices notices
	notes   *groupNotes
	groups  map[string]*groupState

	keep     time.Duration // how long an offset goes without a refresh
	keepRead time.Time
	keepErr  string
	settled  time.Time
}

// NewGroups is ready to Sync.
func NewGroups(cfg GroupsConfig) *Groups {
	return &Groups{cfg: cfg.withDefaults(), groups: map[string]*groupState{}}
}

// Plan says what Sync would commit and delete, and what there is to say about it.
func (s *Groups) Plan(ctx context.Context, v View) (*GroupsPlan, Report, error) {
	ctx, cancel := s.cfg.budget(ctx)
	defer cancel()
	r, err := s.round(ctx, v)
	if err != nil {
		return nil, r.report, err
	}
	return r.plan, r.report, nil
}

// Sync makes the offsets on the standby what they should be.
func (s *Groups) Sync(ctx context.Context, v View) (Report, error) {
	ctx, cancel := s.cfg.budget(ctx)
	defer cancel()
	r, err := s.round(ctx, v)
	if err != nil {
		return r.report, err
	}
	if err := s.apply(ctx, r); err != nil {
		return r.report, err
	}
	if err := ended(ctx); err != nil {
		return r.report, err
	}
	s.notices.end()
	return r.report, s.settle(ctx, r.now, false)
}

// Close notes in the ledger what was committed last. Without it, the next process tells its own
// commits from others' by their leader epochs alone.
func (s *Groups) Close(ctx context.Context) error {
	if s.notes == nil {
		return nil
	}
	return s.settle(ctx, time.Now(), true)
}

// round reads both sides and plans.
func (s *Groups) round(ctx context.Context, v View) (*round, error) {
	s.notices.begin()
	r := &round{s: s, now: time.Now(), ix: indexOf(v), plan: &GroupsPlan{}, want: map[string]*wanted{}}
	if s.notes == nil {
		notes, err := readGroupNotes(s.cfg.Ledger, s.cfg.key("groups"))
		if err != nil {
			return r, fmt.Errorf("instep: groups: %w", err)
		}
		s.notes = notes
		for name := range notes.notes {
			if s.cfg.takes(name) { // it may be gone at the source since
				s.groups[name] = &groupState{}
			}
		}
	}
	s.learnKeep(ctx, r)
	if err := r.list(ctx); err != nil {
		if end := ended(ctx); end != nil {
			return r, end
		}
		return r, err
	}
	r.readSource(ctx)
	if err := ended(ctx); err != nil {
		return r, err
	}
	r.findGone(ctx)
	r.look(ctx)
	if err := ended(ctx); err != nil {
		return r, err
	}
	r.decide()
	r.plan.sort()
	return r, nil
}

// learnKeep reads how long the standby keeps offsets, now and then.
func (s *Groups) learnKeep(ctx context.Context, r *round) {
	defer func() {
		if s.keepErr != "" {
			s.notices.note(&r.report, Event{Kind: RetentionUnread, Detail: s.keepErr}, "")
		}
	}()
	if s.keep > 0 && r.now.Sub(s.keepRead) < time.Hour {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	kept, err := offsetsKept(ctx, s.cfg.Target)
	s.keepErr = ""
	if err != nil {
		kept, s.keepErr = defaultKeeps, fmt.Sprintf("offsets.retention.minutes of the standby: %v; seven days are assumed", err)
	}
	s.keep, s.keepRead = min(s.cfg.Refresh, kept/3), r.now
}

// patience is how long one broker may take.
func (s *Groups) patience() time.Duration { return max(2*s.cfg.Interval, 2*time.Second) }

// settle notes groups that have come to rest, now and then, or all.
func (s *Groups) settle(ctx context.Context, now time.Time, all bool) error {
	if !all && now.Sub(s.settled) < s.cfg.Settle/5 {
		return nil
	}
	for name, st := range s.groups {
		note, known := s.notes.notes[name]
		if known && !note.Open || !st.ours || len(st.tried) > 0 || !known && len(st.have) == 0 {
			continue
		}
		if all || st.diverged != "" || now.Sub(st.moved) >= s.cfg.Settle {
			s.notes.set(name, noteOf(st.have))
		}
	}
	s.settled = now
	return s.notes.write(ctx)
}

// each calls do for the groups that are known, in the order of their names.
func (s *Groups) each(do func(name string, st *groupState)) {
	names := make([]string, 0, len(s.groups))
	for name := range s.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		do(name, s.groups[name])
	}
}
