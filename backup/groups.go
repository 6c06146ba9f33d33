package backup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

// keepAbsent is how long a group that the source hasn't any more is carried.
const keepAbsent = 30 * 24 * time.Hour

const noOffsets = "not carried: share groups (KIP-932) have no committed offsets"

// readGroups reads all groups with their committed offsets, as they are: transactional commits
// under way don't hold it back, and are named. Groups that the last snapshot has and the source
// lacks are carried as absent. The string says why the list isn't whole, if so.
func readGroups(ctx context.Context, c *rawkafka.Cluster, cfg Config, last *storage.Snapshot) ([]storage.Group, string, error) {
	since, err := lastGroups(ctx, last)
	if err != nil {
		return nil, "", err
	}
	if cfg.SkipGroups {
		return skipped(since), "", nil
	}
	got, err := offsets.Capture(ctx, c.Client(), offsets.CaptureConfig{
		Since: since, KeepAbsent: keepAbsent, RetryFor: cfg.retryFor,
		OnRetry: func(op string, err error) { cfg.Logger.Debug("retrying", "op", op, "err", err) },
	})
	if err != nil {
		return nil, "", err
	}
	groups := make([]storage.Group, 0, len(got.Groups)+len(got.NotCarried))
	var gone []string
	for i := range got.Groups {
		if g := &got.Groups[i]; g.AbsentSince.Equal(got.At) {
			gone = append(gone, g.Group)
		}
		groups = append(groups, stored(&got.Groups[i]))
	}
	for _, n := range got.NotCarried {
		groups = append(groups, storage.Group{Name: n.Group, Type: n.Type, Error: noOffsets})
	}
	if len(gone) > 0 {
		cfg.Logger.Info("the source hasn't these groups any more; they are kept as absent", "groups", strings.Join(gone, ","))
	}
	return groups, strings.Join(got.Unread, "; "), nil
}

// skipped are the groups of the last snapshot, as they were: nobody asks for them any more.
func skipped(since *offsets.Groups) []storage.Group {
	groups := make([]storage.Group, 0, len(since.Groups))
	for i := range since.Groups {
		groups = append(groups, stored(offsets.Carried(&since.Groups[i], since, "groups aren't read (SkipGroups)")))
	}
	return groups
}

// unreadGroups is the error of groups that couldn't be read, or nil.
func unreadGroups(groups []storage.Group, unread string) error {
	e := &GroupsError{Unread: unread, Groups: make(map[string]string)}
	for _, g := range groups {
		if g.Error != "" && g.Error != noOffsets {
			e.Groups[g.Name] = g.Error
		}
	}
	if unread == "" && len(e.Groups) == 0 {
		return nil
	}
	return e
}

// lastGroups are the groups that the last snapshot has.
func lastGroups(ctx context.Context, last *storage.Snapshot) (*offsets.Groups, error) {
	since := &offsets.Groups{}
	if last == nil {
		return since, nil
	}
	since.At = last.Info().CreatedAt
	for g, err := range last.Groups(ctx) {
		if err != nil {
			return nil, fmt.Errorf("groups of the last snapshot: %w", err)
		}
		if g.Type != "share" {
			since.Groups = append(since.Groups, captured(&g))
		}
	}
	return since, nil
}

// stored is a captured group in the archive's form.
func stored(g *offsets.Group) storage.Group {
	s := storage.Group{
		Name: g.Group, Type: g.Type, State: g.State, ProtocolType: g.ProtocolType, Error: g.Error, AbsentSince: g.AbsentSince,
	}
	for _, o := range g.Offsets {
		s.Offsets = append(s.Offsets, storage.GroupOffset{
			TopicID: kadm.TopicID(o.TopicID), Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		})
	}
	for _, p := range g.Pending {
		s.Pending = append(s.Pending, storage.GroupPartition(p))
	}
	return s
}

// captured is the other way.
func captured(g *storage.Group) offsets.Group {
	c := offsets.Group{
		Group: g.Name, Type: g.Type, State: g.State, ProtocolType: g.ProtocolType, Error: g.Error, AbsentSince: g.AbsentSince, Offsets: []offsets.Committed{},
	}
	for _, o := range g.Offsets {
		c.Offsets = append(c.Offsets, offsets.Committed{
			TopicID: offsets.TopicID(o.TopicID), Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		})
	}
	return c
}
