package instep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	fetchGroups  = 500 // in one request
	fetchAtOnce  = 4   // requests
	shareGroup   = "share"
	emptyGroup   = "Empty"
	deadGroup    = "Dead"
	defaultKeeps = 7 * 24 * time.Hour // Kafka's offsets.retention.minutes
)

// listed is a group as a broker lists it.
type listed struct {
	broker      int32
	kind, state string
}

func (l listed) active() bool {
	return l.state != "" && !strings.EqualFold(l.state, emptyGroup) && !strings.EqualFold(l.state, deadGroup)
}

// listGroups asks every broker for its groups. unread says whose couldn't be had; an error is that
// of all.
func listGroups(ctx context.Context, cl *rawkafka.Cluster) (groups map[string]listed, unread []string, err error) {
	groups = map[string]listed{}
	answered := false
	answers, err := rawkafka.Each(ctx, cl, kmsg.NewPtrListGroupsRequest())
	if err != nil {
		return nil, nil, fmt.Errorf("list groups: %w", err)
	}
	for _, a := range answers {
		err := a.Err
		resp, ok := a.Resp.(*kmsg.ListGroupsResponse)
		if err == nil && ok {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			unread = append(unread, fmt.Sprintf("broker %d of cluster %s: %v", a.Broker, cl.ID(), err))
		}
		if !ok {
			continue
		}
		answered = true
		for _, g := range resp.Groups {
			groups[g.Group] = listed{a.Broker, strings.ToLower(g.GroupType), g.GroupState}
		}
	}
	if !answered {
		return nil, nil, fmt.Errorf("%w: %s", errUnlisted, some(unread))
	}
	return groups, unread, nil
}

// errUnlisted: none of a cluster's brokers has answered.
var errUnlisted = errors.New("no broker lists its groups")

// byBroker divides groups into requests: those that one broker listed go together, so that a dead
// one holds up no others.
func byBroker(names []string, of map[string]listed) [][]string {
	slices.SortFunc(names, func(a, b string) int {
		if d := int(of[a].broker) - int(of[b].broker); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var chunks [][]string
	for len(names) > 0 {
		n := 1
		for n < len(names) && n < fetchGroups && of[names[n]].broker == of[names[0]].broker {
			n++
		}
		chunks = append(chunks, names[:n])
		names = names[n:]
	}
	return chunks
}

// errNoAnswer is a group that no answer has.
var errNoAnswer = errors.New("no coordinator answered for the group")

// fetchOffsets asks the coordinators for all offsets of groups, and calls take for each group, from
// several goroutines. A group that the coordinator doesn't know has none.
func fetchOffsets(ctx context.Context, cl *rawkafka.Cluster, patience time.Duration, chunks [][]string, stable bool,
	take func(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error),
) {
	var eg errgroup.Group
	eg.SetLimit(fetchAtOnce)
	for _, names := range chunks {
		eg.Go(func() error {
			fetchChunk(ctx, cl, patience, names, stable, take)
			return nil
		})
	}
	_ = eg.Wait()
}

func fetchChunk(ctx context.Context, cl *rawkafka.Cluster, patience time.Duration, names []string, stable bool,
	take func(name string, g *kmsg.OffsetFetchResponseGroup, version int16, err error),
) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = stable
	missing := make(map[string]error, len(names))
	for _, name := range names {
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = name
		req.Groups = append(req.Groups, rg)
		missing[name] = errNoAnswer
	}
	for _, shard := range cl.Client().RequestSharded(ctx, req) {
		asked, _ := shard.Req.(*kmsg.OffsetFetchRequest)
		resp, ok := shard.Resp.(*kmsg.OffsetFetchResponse)
		if !ok || shard.Err != nil && len(resp.Groups) == 0 {
			for _, name := range askedFor(asked) {
				missing[name] = shard.Err
			}
			continue
		}
		for i := range resp.Groups {
			g := &resp.Groups[i]
			err := kerr.ErrorForCode(g.ErrorCode)
			if errors.Is(err, kerr.GroupIDNotFound) {
				err = nil
			}
			delete(missing, g.Group)
			take(g.Group, g, resp.Version, err)
		}
	}
	for name, err := range missing {
		take(name, nil, 0, err)
	}
}

// askedFor are the groups of a request; brokers before 3.0 take one at a time.
func askedFor(req *kmsg.OffsetFetchRequest) []string {
	if req == nil {
		return nil
	}
	if len(req.Groups) == 0 {
		return []string{req.Group}
	}
	var names []string
	for _, g := range req.Groups {
		names = append(names, g.Group)
	}
	return names
}

// offsetsKept is the standby's offsets.retention.minutes: the least of its brokers'.
func offsetsKept(ctx context.Context, cl *rawkafka.Cluster) (time.Duration, error) {
	brokers, err := cl.Admin().ListBrokers(ctx)
	if err != nil {
		return 0, err
	}
	configs, err := cl.Admin().DescribeBrokerConfigs(ctx, brokers.NodeIDs()...)
	least := time.Duration(0)
	for _, rc := range configs {
		if rc.Err != nil {
			err = rc.Err
		}
		for _, c := range rc.Configs {
			if c.Key != "offsets.retention.minutes" {
				continue
			}
			if d, perr := time.ParseDuration(c.MaybeValue() + "m"); perr == nil && d > 0 && (least == 0 || d < least) {
				least = d
			}
		}
	}
	if least > 0 {
		return least, nil
	}
	if err == nil {
		err = errors.New("the brokers don't tell it")
	}
	return 0, err
}
