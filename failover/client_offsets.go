package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets without records don't say which cluster they are of. They are records' whose contexts
// don't say it: the active cluster's up to where this client has polled or committed there, else
// the one's before. So they are never ahead.

// bareRecords are the last records below offsets.
func bareRecords(offsets map[string]map[int32]kgo.EpochOffset) (rs []*kgo.Record) {
	for t, ps := range offsets {
		for p, o := range ps {
			rs = append(rs, &kgo.Record{Topic: t, Partition: p, Offset: o.Offset - 1, LeaderEpoch: o.Epoch})
		}
	}
	return rs
}

func offsetsOf(rs []*kgo.Record) map[string]map[int32]kgo.EpochOffset {
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for _, r := range rs {
		if offsets[r.Topic] == nil {
			offsets[r.Topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[r.Topic][r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
	}
	return offsets
}

// CommitDone is what kgo calls at the end of a commit.
type CommitDone = func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error)

// CommitOffsetsSync is kgo's. An offset is the active cluster's up to where this client has polled
// or committed there; others are carried over as in [Client.CommitRecords], and never back. Those
// that mean nothing there aren't committed: onDone gets an
// *[OldEpochError] with them. Where the epoch ends meanwhile, the error matches [ErrEpochEnded].
func (k *consuming) CommitOffsetsSync(ctx context.Context, uncommitted map[string]map[int32]kgo.EpochOffset, onDone CommitDone) {
	k.commitOffsets(ctx, uncommitted, onDone, (*kgo.Client).CommitOffsetsSync)
}

// CommitOffsets is kgo's; see [Client.CommitOffsetsSync] for which offsets are committed. It waits
// only while no cluster is active, or where an offset has to be carried over.
func (k *consuming) CommitOffsets(ctx context.Context, uncommitted map[string]map[int32]kgo.EpochOffset, onDone CommitDone) {
	k.commitOffsets(ctx, uncommitted, onDone, (*kgo.Client).CommitOffsets)
}

func (k *consuming) commitOffsets(ctx context.Context, uncommitted map[string]map[int32]kgo.EpochOffset, onDone CommitDone, commit func(*kgo.Client, context.Context, map[string]map[int32]kgo.EpochOffset, CommitDone)) {
	if onDone == nil {
		onDone = func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error) {}
	}
	fail := func(cl *kgo.Client, err error) {
		onDone(cl, kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse(), err)
	}
	s, err := k.c.committer(ctx)
	if err != nil {
		fail(nil, err)
		return
	}
	now, moved, old := k.carried(ctx, s, bareRecords(uncommitted))
	if moved, err = k.ahead(ctx, s, moved); err != nil {
		fail(s.cl, s.endedBy(ctx, err))
		return
	}
	cctx, cancel := s.during(ctx)
	commit(s.cl, cctx, offsetsOf(append(now, moved...)), func(cl *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		err = s.endedBy(ctx, err)
		cancel()
		if len(old) > 0 {
			err = errors.Join(err, &OldEpochError{Records: old})
		}
		onDone(cl, req, resp, err)
	})
}

// endedBy is an error of what was done in a session, which matches [ErrEpochEnded] where the
// session has ended meanwhile.
func (s *session) endedBy(ctx context.Context, err error) error {
	if err != nil && s.ctx.Err() != nil && !errors.Is(err, ErrEpochEnded) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrEpochEnded, err)
	}
	return err
}

// MarkCommitOffsets is kgo's, and never waits. Which offsets are marked is as with
// [Client.MarkCommitRecords].
func (k *consuming) MarkCommitOffsets(unmarked map[string]map[int32]kgo.EpochOffset) {
	k.MarkCommitRecords(bareRecords(unmarked)...)
}

// SetOffsets is kgo's, of what is consumed on the active cluster. An offset that was another
// cluster's is carried over, as in [Client.CommitRecords]; one that means nothing on the active one
// is not set, and [Hooks.OnOldRecords] gets it. A consumer without a group goes on there after a
// switch, too.
func (k *consuming) SetOffsets(offsets map[string]map[int32]kgo.EpochOffset) {
	k.c.mu.Lock()
	s := k.c.last
	k.c.mu.Unlock()
	if s == nil {
		return
	}
	now, moved, old := k.carried(k.c.ctx, s, bareRecords(offsets))
	set := offsetsOf(append(now, moved...))
	s.cl.SetOffsets(set)
	if k.direct != nil {
		k.c.mu.Lock()
		for t, ps := range set {
			for p, o := range ps {
				s.positions.reached(topicPartition{t, p}, o.Offset)
			}
		}
		k.c.mu.Unlock()
	}
	if h := k.c.cfg.Hooks.OnOldRecords; h != nil && len(old) > 0 {
		h(old)
	}
}

// CommittedOffsets is kgo's: of the member on the active cluster; nil while there is none.
func (k *consuming) CommittedOffsets() map[string]map[int32]kgo.EpochOffset {
	return k.offsets((*kgo.Client).CommittedOffsets)
}

// UncommittedOffsets is kgo's: of the member on the active cluster; nil while there is none.
func (k *consuming) UncommittedOffsets() map[string]map[int32]kgo.EpochOffset {
	return k.offsets((*kgo.Client).UncommittedOffsets)
}

// MarkedOffsets is kgo's: of the member on the active cluster; nil while there is none.
func (k *consuming) MarkedOffsets() map[string]map[int32]kgo.EpochOffset {
	return k.offsets((*kgo.Client).MarkedOffsets)
}

func (k *consuming) offsets(of func(*kgo.Client) map[string]map[int32]kgo.EpochOffset) map[string]map[int32]kgo.EpochOffset {
	s := k.c.alive()
	if s == nil {
		return nil
	}
	return of(s.cl)
}
