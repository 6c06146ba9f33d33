package instep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// lateCommit is how long a commit that wasn't answered may still land.
const lateCommit = time.Minute

// apply commits, forgets and deletes. Groups that are about to be moved are noted in the ledger
// before.
func (s *Groups) apply(ctx context.Context, r *round) error {
	if err := s.open(ctx, r.plan); err != nil {
		return err
	}
	var eg errgroup.Group
	eg.SetLimit(s.cfg.Commits)
	for i := range r.plan.Changes {
		c := &r.plan.Changes[i]
		eg.Go(func() error {
			if ctx.Err() == nil {
				r.change(ctx, c)
			}
			return nil
		})
	}
	_ = eg.Wait()
	r.noteFailed()
	return nil
}

// open notes groups whose offsets begin to move.
func (s *Groups) open(ctx context.Context, p *GroupsPlan) error {
	for _, c := range p.Changes {
		moves := c.Delete || len(c.commits.differing(c.state.have)) > 0 || len(c.forget) > 0
		if moves && !s.notes.notes[c.Group].Open {
			s.notes.set(c.Group, groupNote{Open: true})
		}
	}
	return s.notes.write(ctx)
}

// change applies one group's change, and takes in what came of it.
func (r *round) change(ctx context.Context, c *GroupChange) {
	ctx, cancel := context.WithTimeout(ctx, r.s.patience())
	defer cancel()
	if c.Delete {
		r.deleted(c.Group, deleteGroup(ctx, r.s.cfg.Target, c.Group))
		return
	}
	moved := c.commits.differing(c.state.have)
	done, err := r.commit(ctx, c)
	var forgotten marks
	if err == nil && len(c.forget) > 0 {
		forgotten, err = forgetOffsets(ctx, r.s.cfg.Target, c.Group, c.forget)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st := c.state
	st.have = st.have.with(done).without(forgotten)
	if r.now.Sub(st.triedAt) > lateCommit {
		st.tried = nil
	}
	if len(moved) > 0 || len(forgotten) > 0 {
		st.moved = r.now
	}
	if err == nil && c.Refresh {
		st.refreshed = r.now
	}
	n := len(done.among(moved))
	r.report.Changed += n + len(forgotten)
	r.report.Refreshed += len(done) - n
	if err == nil {
		return
	}
	if hasMembers(err) {
		st.active = true
		r.report.Active++
		r.note(Event{Kind: GroupActive, Group: c.Group, Detail: leftActive}, "")
		return
	}
	st.tried, st.triedAt = c.commits, r.now
	r.failed = append(r.failed, failure{c.Group, err})
}

func (r *round) deleted(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		r.failed = append(r.failed, failure{name, fmt.Errorf("delete: %w", err)})
		return
	}
	r.forget(name)
	r.report.Changed++
	r.note(Event{Kind: GroupDeleted, Group: name, Detail: "the source has it no more"}, "")
}

// hasMembers says whether a coordinator refuses because the group isn't empty.
func hasMembers(err error) bool {
	for _, e := range []error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.StaleMemberEpoch, kerr.NonEmptyGroup, kerr.FencedMemberEpoch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// commit commits a group's offsets, and returns those that were taken.
func (r *round) commit(ctx context.Context, c *GroupChange) (marks, error) {
	if len(c.commits) == 0 {
		return nil, nil
	}
	resp, err := commitRequest(c.Group, c.commits, r.ix).RequestWith(ctx, r.s.cfg.Target.Client())
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	type place struct {
		topic     string
		partition int32
	}
	codes := map[place]int16{}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		name := t.Topic
		if known := r.ix.byTargetID[t.TopicID]; name == "" && known != nil {
			name = known.Target
		}
		for _, p := range t.Partitions {
			codes[place{name, p.Partition}] = p.ErrorCode
		}
	}
	var done marks
	errs := map[string]error{}
	for _, m := range c.commits {
		code, ok := codes[place{m.topic, m.partition}]
		err := kerr.ErrorForCode(code)
		switch {
		case !ok:
			errs["no answer"] = fmt.Errorf("commit: %s/%d: the answer omits it", m.topic, m.partition)
		case err == nil:
			done = append(done, m)
		case !rawkafka.Unknown(err): // a topic that is gone is the mirror's to tell
			errs[err.Error()] = fmt.Errorf("commit: %s/%d at %d: %w", m.topic, m.partition, m.offset, err)
		}
	}
	return done, errors.Join(slices.Collect(maps.Values(errs))...)
}

func commitRequest(group string, ms marks, ix *index) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	for rest := ms; len(rest) > 0; {
		var topic marks
		topic, rest = rest.firstTopic()
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = topic[0].topic
		if t := ix.byTarget[rt.Topic]; t != nil {
			rt.TopicID = t.TargetID
		}
		for _, m := range topic {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = m.partition, m.offset, -1, m.meta
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// forgetOffsets deletes committed offsets, and returns those that are gone.
func forgetOffsets(ctx context.Context, cl *rawkafka.Cluster, group string, ms marks) (marks, error) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	for rest := ms; len(rest) > 0; {
		var topic marks
		topic, rest = rest.firstTopic()
		rt := kmsg.NewOffsetDeleteRequestTopic()
		rt.Topic = topic[0].topic
		for _, m := range topic {
			rp := kmsg.NewOffsetDeleteRequestTopicPartition()
			rp.Partition = m.partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, cl.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("delete offsets: %w", err)
	}
	var done marks
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if m, ok := ms.find(mark{topic: t.Topic, partition: p.Partition}); ok && p.ErrorCode == 0 {
				done = append(done, m)
			} else if ok {
				err = fmt.Errorf("delete offset: %s/%d: %w", t.Topic, p.Partition, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
	slices.SortFunc(done, mark.compare)
	return done, err
}

func deleteGroup(ctx context.Context, cl *rawkafka.Cluster, group string) error {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl.Client())
	if err != nil {
		return err
	}
	for _, g := range resp.Groups {
		if g.Group == group {
			return kerr.ErrorForCode(g.ErrorCode)
		}
	}
	return errNoAnswer
}
