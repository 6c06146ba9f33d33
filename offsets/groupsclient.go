package offsets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	// groupBatch is how many groups are asked for at once: kgo makes a request for each coordinator
	// of them.
	groupBatch = 200
	// groupBatches is how many batches are under way.
	groupBatches = 4
	// topicBatch is how many topics a metadata request names.
	topicBatch = 1000

	defaultRetryFor = time.Minute
)

// groupsClient asks a cluster about groups, and asks again where it is worth it.
type groupsClient struct {
	cl       *kgo.Client
	retryFor time.Duration
	onRetry  func(op string, err error)
}

func newGroupsClient(cl *kgo.Client, retryFor time.Duration, onRetry func(string, error)) *groupsClient {
	if retryFor <= 0 {
		retryFor = defaultRetryFor
	}
	if onRetry == nil {
		onRetry = func(string, error) {}
	}
	return &groupsClient{cl: cl, retryFor: retryFor, onRetry: onRetry}
}

// again says whether an answer may be another one soon: the coordinator moves or loads, or a
// connection was lost.
func again(err error) bool {
	return rawkafka.Retriable(err) || kerr.IsRetriable(err) && !rawkafka.Unknown(err) ||
		errors.Is(err, context.DeadlineExceeded)
}

// rounds calls do with batches of names, and again with those, and only those, whose error may
// pass, until retryFor went by without any success. It returns what is left of the errors, by name.
func (c *groupsClient) rounds(ctx context.Context, op string, names []string, do func(ctx context.Context, names []string) map[string]error) map[string]error {
	failed := map[string]error{}
	progress := time.Now()
	for n := 0; len(names) > 0; n++ {
		errs := c.round(ctx, names, do)
		var left []string
		for _, name := range names {
			switch err := errs[name]; {
			case err == nil:
				progress = time.Now()
			case ctx.Err() != nil:
				failed[name] = context.Cause(ctx)
			case again(err):
				left = append(left, name)
			default:
				failed[name] = err
			}
		}
		if len(left) == 0 {
			break
		}
		c.onRetry(op, fmt.Errorf("%d groups, such as %s: %w", len(left), left[0], errs[left[0]]))
		if time.Since(progress) > c.retryFor || rawkafka.Sleep(ctx, rawkafka.Backoff(n)) != nil {
			for _, name := range left {
				failed[name] = errs[name]
			}
			break
		}
		names = left
	}
	return failed
}

// round calls do with all names once, some batches at a time.
func (c *groupsClient) round(ctx context.Context, names []string, do func(context.Context, []string) map[string]error) map[string]error {
	var mu sync.Mutex
	all := make(map[string]error, len(names))
	g := errgroup.Group{}
	g.SetLimit(groupBatches)
	for batch := range slices.Chunk(names, groupBatch) {
		g.Go(func() error {
			errs := do(ctx, batch)
			mu.Lock()
			defer mu.Unlock()
			for name, err := range errs {
				all[name] = err
			}
			return nil
		})
	}
	_ = g.Wait()
	return all
}

// list lists all groups, and says which brokers couldn't.
func (c *groupsClient) list(ctx context.Context) (map[string]Group, []string, error) {
	started := time.Now()
	for n := 0; ; n++ {
		groups, errs := c.listOnce(ctx)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if len(errs) == 0 || time.Since(started) > c.retryFor || !slices.ContainsFunc(errs, again) {
			var unread []string
			for _, err := range errs {
				unread = append(unread, oneLine(err))
			}
			return groups, unread, nil
		}
		c.onRetry("list groups", errs[0])
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return nil, nil, err
		}
	}
}

func (c *groupsClient) listOnce(ctx context.Context) (map[string]Group, []error) {
	groups := map[string]Group{}
	var errs []error
	for _, shard := range c.cl.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
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
			if kind == "" {
				kind = "classic"
			}
			groups[g.Group] = Group{Group: g.Group, Type: kind, State: g.GroupState, ProtocolType: g.ProtocolType}
		}
	}
	return groups, errs
}

// fetched is what a coordinator answered for one group.
type fetched struct {
	offsets []Committed
	pending []Pending // asked for with stable only, and then not among offsets
	errs    []error   // of partitions
}

// fetch asks for all committed offsets of groups; of one that doesn't exist there are none. With
// stable, partitions with a transactional commit under way are told apart, and not waited for.
func (c *groupsClient) fetch(ctx context.Context, names []string, stable bool) (map[string]fetched, map[string]error) {
	var mu sync.Mutex
	all := make(map[string]fetched, len(names))
	failed := c.rounds(ctx, "fetch offsets", names, func(ctx context.Context, names []string) map[string]error {
		got, errs := c.fetchOnce(ctx, names, stable)
		mu.Lock()
		defer mu.Unlock()
		for name, f := range got {
			all[name] = f
		}
		return errs
	})
	for name := range failed {
		delete(all, name)
	}
	return all, failed
}

var errNoAnswer = errors.New("the coordinator's answer omits the group")

func (c *groupsClient) fetchOnce(ctx context.Context, names []string, stable bool) (map[string]fetched, map[string]error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = stable
	errs := make(map[string]error, len(names))
	for _, name := range names {
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = name
		req.Groups = append(req.Groups, rg)
		errs[name] = errNoAnswer
	}
	got := make(map[string]fetched, len(names))
	old := map[string]bool{} // of a version without topic IDs
	for _, shard := range c.cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			for _, name := range namesOf(shard.Req.(*kmsg.OffsetFetchRequest)) {
				errs[name] = shard.Err
			}
			continue
		}
		resp := shard.Resp.(*kmsg.OffsetFetchResponse)
		for _, g := range resp.Groups {
			f, err := fetchedOf(g, resp.Version < topicIDVersion)
			errs[g.Group] = err
			if err == nil {
				got[g.Group], old[g.Group] = f, resp.Version < topicIDVersion
			}
		}
	}
	if err := c.learnIDs(ctx, got, old); err != nil {
		for name := range old {
			errs[name] = err
		}
	}
	return got, errs
}

// topicIDVersion is the first version of OffsetFetch that speaks of topic IDs (Kafka 4.2).
const topicIDVersion = 10

func namesOf(req *kmsg.OffsetFetchRequest) []string {
	var names []string
	for _, g := range req.Groups {
		names = append(names, g.Group)
	}
	if len(names) == 0 {
		names = []string{req.Group}
	}
	return names
}

func fetchedOf(g kmsg.OffsetFetchResponseGroup, old bool) (fetched, error) {
	var f fetched
	err := kerr.ErrorForCode(g.ErrorCode)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	for _, t := range g.Topics {
		id := TopicID(t.TopicID)
		if old {
			id = TopicID{} // kgo fills in what it has cached
		}
		for _, p := range t.Partitions {
			err := kerr.ErrorForCode(p.ErrorCode)
			switch {
			case errors.Is(err, kerr.UnstableOffsetCommit):
				f.pending = append(f.pending, Pending{t.Topic, p.Partition})
			case err != nil:
				f.errs = append(f.errs, &PartitionError{Job: "offsets", Topic: t.Topic, Partition: p.Partition, Offset: -1, Err: err})
			case p.Offset >= 0: // else nothing is committed
				f.offsets = append(f.offsets, Committed{id, t.Topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata})
			}
		}
	}
	sortCommitted(f.offsets)
	return f, nil
}

// learnIDs adds the topic IDs that older brokers don't tell with the offsets.
func (c *groupsClient) learnIDs(ctx context.Context, got map[string]fetched, old map[string]bool) error {
	names := map[string]bool{}
	for group, f := range got {
		for _, o := range f.offsets {
			if old[group] {
				names[o.Topic] = true
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	topics, _, err := c.topics(ctx, names)
	if err != nil {
		return err
	}
	for group, f := range got {
		for i := range f.offsets {
			if old[group] {
				f.offsets[i].TopicID = topics[f.offsets[i].Topic].id
			}
		}
	}
	return nil
}

// topicMeta is what a cluster says of a topic.
type topicMeta struct {
	id         TopicID
	partitions int32
	err        error
}

// topics asks for topics by name, and for the cluster's ID.
func (c *groupsClient) topics(ctx context.Context, names map[string]bool) (map[string]topicMeta, string, error) {
	all := make(map[string]topicMeta, len(names))
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	var cluster string
	for {
		batch := list[:min(len(list), topicBatch)]
		list = list[len(batch):]
		resp, err := c.metadata(ctx, batch)
		if err != nil {
			return nil, "", err
		}
		if resp.ClusterID != nil {
			cluster = *resp.ClusterID
		}
		for _, t := range resp.Topics {
			if t.Topic != nil {
				all[*t.Topic] = topicMeta{TopicID(t.TopicID), int32(len(t.Partitions)), kerr.ErrorForCode(t.ErrorCode)}
			}
		}
		if len(list) == 0 {
			return all, cluster, nil
		}
	}
}

func (c *groupsClient) metadata(ctx context.Context, names []string) (*kmsg.MetadataResponse, error) {
	req := rawkafka.MetadataOf(names...)
	if len(names) == 0 {
		req.Topics = []kmsg.MetadataRequestTopic{} // none, and not all
	}
	started := time.Now()
	for n := 0; ; n++ {
		resp, err := req.RequestWith(ctx, c.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		switch {
		case err == nil:
			return resp, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !again(err) || time.Since(started) > c.retryFor:
			return nil, fmt.Errorf("metadata: %w", err)
		}
		c.onRetry("metadata", err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return nil, err
		}
	}
}

// logBounds are the log start and end offsets of all partitions of topics; those whose leader can't
// be asked are missing.
func (c *groupsClient) logBounds(ctx context.Context, topics map[string]bool) (start, end kadm.ListedOffsets, err error) {
	adm := kadm.NewClient(c.cl)
	var names []string
	for name := range topics {
		names = append(names, name)
	}
	if len(names) == 0 {
		return kadm.ListedOffsets{}, kadm.ListedOffsets{}, nil
	}
	slices.Sort(names)
	if start, err = c.listed(ctx, names, adm.ListStartOffsets); err != nil {
		return nil, nil, fmt.Errorf("log start offsets: %w", err)
	}
	if end, err = c.listed(ctx, names, adm.ListEndOffsets); err != nil {
		return nil, nil, fmt.Errorf("log end offsets: %w", err)
	}
	return start, end, nil
}

// listed lists offsets, again while leaders move.
func (c *groupsClient) listed(ctx context.Context, names []string, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
	all := kadm.ListedOffsets{}
	started := time.Now()
	for n := 0; ; n++ {
		got, err := list(ctx, names...)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for topic, partitions := range got {
			all[topic] = partitions
		}
		var left []string
		worst := err
		for _, name := range names {
			bad := err
			for _, o := range all[name] {
				if o.Err != nil && again(o.Err) {
					bad = o.Err
				}
			}
			if bad != nil {
				left, worst = append(left, name), bad
			}
		}
		switch {
		case len(left) == 0:
			return all, nil
		case err != nil && !retriableShards(err):
			return nil, err
		case time.Since(started) > c.retryFor:
			return all, nil
		}
		c.onRetry("list offsets", worst)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return nil, err
		}
		names = left
	}
}

// retriableShards looks into kadm's errors of several brokers.
func retriableShards(err error) bool {
	var shards *kadm.ShardErrors
	if !errors.As(err, &shards) {
		return again(err)
	}
	return slices.ContainsFunc(shards.Errs, func(e kadm.ShardError) bool { return again(e.Err) })
}

// oneLine is an error's text on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
