package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// readGroups reads all groups with their committed offsets, as they are:
// transactional commits under way don't hold it back. The string says why the
// list isn't whole, if so.
func readGroups(ctx context.Context, c *rawkafka.Cluster, ids map[string]rawkafka.Topic) ([]storage.Group, string, error) {
	groups, unread := listGroups(ctx, c)
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	const chunk = 500
	for part := range slices.Chunk(groups, chunk) {
		names := make([]string, len(part))
		for i := range part {
			names[i] = part[i].Name
		}
		fetched := c.Admin().FetchManyOffsets(ctx, names...)
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		for i := range part {
			offsetsInto(&part[i], fetched[part[i].Name], ids)
		}
	}
	return groups, unread, nil
}

func listGroups(ctx context.Context, c *rawkafka.Cluster) ([]storage.Group, string) {
	groups := []storage.Group{}
	var errs []error
	for _, shard := range c.Client().RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		err := shard.Err
		resp, _ := shard.Resp.(*kmsg.ListGroupsResponse)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", shard.Meta.NodeID, err))
			continue
		}
		for _, g := range resp.Groups {
			kind := strings.ToLower(g.GroupType)
			if kind == "share" {
				continue // it has no committed offsets
			}
			if kind == "" {
				kind = "classic"
			}
			groups = append(groups, storage.Group{Name: g.Group, Type: kind, State: g.GroupState, ProtocolType: g.ProtocolType})
		}
	}
	slices.SortFunc(groups, func(a, b storage.Group) int { return strings.Compare(a.Name, b.Name) })
	groups = slices.CompactFunc(groups, func(a, b storage.Group) bool { return a.Name == b.Name })
	if err := errors.Join(errs...); err != nil {
		return groups, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return groups, ""
}

func offsetsInto(g *storage.Group, r kadm.FetchOffsetsResponse, ids map[string]rawkafka.Topic) {
	switch {
	case r.Err != nil:
		g.Error = r.Err.Error()
	case r.Group == "":
		g.Error = "the coordinator's answer omits the group"
	}
	for _, partitions := range r.Fetched {
		for _, o := range partitions {
			if o.Err != nil {
				g.Error = fmt.Sprintf("%s/%d: %v", o.Topic, o.Partition, o.Err)
				continue
			}
			if o.At < 0 {
				continue // nothing is committed
			}
			offset := storage.GroupOffset{
				TopicID: o.TopicID, Topic: o.Topic, Partition: o.Partition, Offset: o.At, LeaderEpoch: o.LeaderEpoch,
			}
			if offset.TopicID == (kadm.TopicID{}) {
				offset.TopicID = ids[o.Topic].ID
			}
			if o.Metadata != "" {
				offset.Metadata = &o.Metadata
			}
			g.Offsets = append(g.Offsets, offset)
		}
	}
	slices.SortFunc(g.Offsets, func(a, b storage.GroupOffset) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}
