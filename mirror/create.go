package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/mirror/internal/instep"
)

const (
	// adminPartitions is how many partitions one CreateTopics request may make (Kafka bounds it),
	// adminTopics how many topics one request names.
	adminPartitions = 1000
	adminTopics     = 100
	adminTimeout    = 30 * time.Second
)

// create creates copies, held: nothing expires until the source's log start is reached. Those that
// have leaders within moments are taken in; discovery takes the others in.
func (e *engine) create(ctx context.Context, topics []*topic, metas map[*topic]rawkafka.Topic) error {
	if len(topics) == 0 {
		return nil
	}
	configs, err := e.prepare(ctx, topics)
	if err != nil {
		return err
	}
	var created []*topic
	for len(topics) > 0 {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis = int32(adminTimeout.Milliseconds())
		named := make(map[string]*topic)
		for partitions := 0; len(topics) > 0 && len(named) < adminTopics; topics = topics[1:] {
			t := topics[0]
			n := len(metas[t].Partitions)
			if partitions += n; partitions > adminPartitions && len(named) > 0 {
				break
			}
			named[t.target] = t
			maxMessage, _ := strconv.Atoi(configs[t.source][cfgMaxMessage])
			req.Topics = append(req.Topics, creation(t, n, e.factor(replication(metas[t])), maxMessage))
		}
		names, refused, err := e.createSome(ctx, req)
		if err != nil {
			return err
		}
		created = append(created, e.created(named, names, refused)...)
	}
	return e.takeIn(ctx, created, metas, configs)
}

// prepare notes copies that are about to be created, and asks for the sources' configs meanwhile.
func (e *engine) prepare(ctx context.Context, topics []*topic) (configs map[string]map[string]string, err error) {
	targets, pairs := make([]string, 0, len(topics)), make([]pair, 0, len(topics))
	for _, t := range topics {
		targets, pairs = append(targets, t.target), append(pairs, t.pair)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if configs, err = describe(gctx, e.near, pairs, func(t pair) string { return t.source }); err != nil {
			return fmt.Errorf("source: %w", err)
		}
		return nil
	})
	g.Go(func() error { return e.keep.created(gctx, targets) })
	g.Go(func() error { return e.noteNew(gctx, topics) })
	return configs, g.Wait()
}

// createSome asks for copies: which were created, and which the target refuses. Those that are
// there, or may be taken later, are in neither.
func (fl *flow) createSome(ctx context.Context, req *kmsg.CreateTopicsRequest) (created []string, refused map[string]error, err error) {
	resp, err := req.RequestWith(ctx, fl.target.Client())
	if err != nil {
		return nil, nil, fmt.Errorf("target: create topics: %w", err)
	}
	refused = make(map[string]error)
	for _, rt := range resp.Topics {
		switch err := answer(rt.ErrorCode, rt.ErrorMessage); {
		case err == nil:
			created = append(created, rt.Topic)
		case errors.Is(err, kerr.TopicAlreadyExists), rawkafka.Retriable(err):
		default:
			refused[rt.Topic] = fmt.Errorf("create: %w", err)
		}
	}
	return created, refused, nil
}

// created takes in which copies were created, and which were refused, of those that were asked for.
func (e *engine) created(named map[string]*topic, names []string, refused map[string]error) (created []*topic) {
	for name, err := range refused {
		if t := named[name]; t != nil {
			e.refusedTopic(t, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		if t := named[name]; t != nil {
			t.created = true
			created = append(created, t)
		}
	}
	return created
}

// leadersFor is how long discovery waits for the leaders of what it has created.
const leadersFor = 300 * time.Millisecond

// takeIn takes in copies that were created just now, as soon as they have leaders.
func (e *engine) takeIn(ctx context.Context, created []*topic, metas map[*topic]rawkafka.Topic, configs map[string]map[string]string) error {
	if len(created) == 0 {
		return nil
	}
	names := make([]string, 0, len(created))
	for _, t := range created {
		names = append(names, t.target)
	}
	there, err := e.leaders(ctx, names)
	if err != nil {
		return err
	}
	ready := slices.DeleteFunc(slices.Clone(created), func(t *topic) bool { return !led(there[t.target]) })
	if err := e.describe(ctx, ready, configs); err != nil {
		return err
	}
	for _, t := range ready {
		if !e.grow(ctx, t, metas[t], there[t.target]) {
			e.agenda.again()
		}
	}
	return nil
}

// leaders waits until copies have leaders, for leadersFor.
func (fl *flow) leaders(ctx context.Context, names []string) (there map[string]rawkafka.Topic, err error) {
	for began, n := time.Now(), 1; ; n++ {
		if there, err = fl.far.Topics(ctx, names...); err != nil {
			return nil, fmt.Errorf("target: topics: %w", err)
		}
		without := slices.ContainsFunc(names, func(name string) bool { return !led(there[name]) })
		if !without || time.Since(began) > leadersFor {
			return there, nil
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Eager(n)); err != nil {
			return nil, err
		}
	}
}

// led says that a topic is there, with leaders.
func led(t rawkafka.Topic) bool {
	return t.Err == nil && len(t.Partitions) > 0 && !slices.ContainsFunc(t.Partitions, func(p rawkafka.PartitionMetadata) bool { return p.Leader < 0 })
}

// refusedTopic says that the target doesn't take a topic. What passes by itself, a quota among it,
// is tried again.
func (e *engine) refusedTopic(t *topic, err error) {
	if rawkafka.Retriable(err) {
		e.hooks.retry("topic "+t.target, err)
		return
	}
	kind := TopicRefused
	if rawkafka.Denies(err) {
		kind = Denied
	}
	e.say(t, Event{Kind: kind, Detail: err.Error()})
	e.refusals.add(t.source, &EventError{Event: Event{Kind: kind, Policy: e.cfg.Policies.of(kind), Topic: t.source, Target: t.target, Partition: -1, Offset: -1, Other: -1, Detail: err.Error()}, Err: err})
}

// factor is the replication factor of a topic to create.
func (fl *flow) factor(source int16) int16 {
	if fl.cfg.ReplicationFactor > 0 {
		return fl.cfg.ReplicationFactor
	}
	return source
}

func creation(t *topic, partitions int, factor int16, maxMessage int) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.target, int32(partitions), factor
	configs := instep.NewTopicConfigs()
	if maxMessage > 0 {
		configs[cfgMaxMessage] = strconv.Itoa(maxMessage)
	}
	keys := make([]string, 0, len(configs))
	for key := range configs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := configs[key]
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = key, &value
		rt.Configs = append(rt.Configs, rc)
	}
	return rt
}

const (
	cfgMaxMessage = "max.message.bytes"
	cfgCleanup    = "cleanup.policy"
	cfgRemote     = "remote.storage.enable"
)

// describe takes in what the configs of both sides say of topics that are new here. The source's
// may be known already; else from is nil.
func (e *engine) describe(ctx context.Context, topics []*topic, from map[string]map[string]string) error {
	var pairs []pair
	for _, t := range topics {
		if !t.described.After(time.Now().Add(-describeEvery)) {
			pairs = append(pairs, t.pair)
		}
	}
	found, err := e.traitsOf(ctx, pairs, from)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range topics {
		if traits, ok := found[t.source]; ok {
			t.traits, t.described = traits, time.Now()
		}
	}
	return nil
}

// traitsOf asks both sides for the configs of topics, by source name. The source's may be known
// already; else from is nil.
func (fl *flow) traitsOf(ctx context.Context, topics []pair, from map[string]map[string]string) (map[string]traits, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	var to map[string]map[string]string
	g, gctx := errgroup.WithContext(ctx)
	if from == nil {
		g.Go(func() (err error) {
			if from, err = describe(gctx, fl.near, topics, func(t pair) string { return t.source }); err != nil {
				return fmt.Errorf("source: %w", err)
			}
			return nil
		})
	}
	g.Go(func() (err error) {
		if to, err = describe(gctx, fl.far, topics, func(t pair) string { return t.target }); err != nil {
			return fmt.Errorf("target: %w", err)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := make(map[string]traits, len(topics))
	for _, t := range topics {
		found[t.source] = traitsOf(from[t.source], to[t.target])
	}
	return found, nil
}

// describeEvery is how often configs are looked at that the copying itself needs.
const describeEvery = 30 * time.Second

// describedConfigs are the configs that the copying itself needs.
func describedConfigs() []string {
	return append([]string{cfgMaxMessage, cfgCleanup, cfgRemote}, slices.Sorted(maps.Keys(instep.NeededConfigs()))...)
}

// unfit says that a topic's configs aren't what a copy needs.
func unfit(from, to map[string]string) bool {
	for name, value := range instep.NeededConfigs() {
		if is, ok := to[name]; ok && is != value {
			return true
		}
	}
	largest, err := strconv.Atoi(from[cfgMaxMessage])
	mine, merr := strconv.Atoi(to[cfgMaxMessage])
	return err == nil && merr == nil && mine < largest
}

// fit gives topics that are there already, and aren't copied to yet by this process, the configs
// that a copy needs. It returns those that have them: the others are refused.
func (e *engine) fit(ctx context.Context, ready []*topic, there map[string]rawkafka.Topic) ([]*topic, error) {
	begins := instep.NewConfigs(instep.Sides{Source: e.near, Target: e.far, Ledger: e.ledger, Flow: e.cfg.Name, Prefix: e.cfg.Prefix})
	var begin []instep.Topic
	for _, t := range ready {
		vt := instep.Topic{Source: t.source, SourceID: t.sourceID, Target: t.target, TargetID: there[t.target].ID}
		vt.Ready = begins.Begun(vt)
		if t.parts == nil && (!vt.Ready || t.unfit) {
			begin = append(begin, vt)
		}
	}
	if len(begin) == 0 {
		return ready, nil
	}
	if err := e.notEmpty(ctx, begin, there); err != nil {
		return nil, err
	}
	refused, err := begins.Begin(ctx, begin)
	if err != nil {
		return nil, err
	}
	var left, changed []*topic
	for _, t := range ready {
		if err := refused[t.target]; err != nil {
			if rawkafka.Retriable(err) {
				return nil, fmt.Errorf("target: configs: %w", err)
			}
			e.refusedTopic(t, err)
			continue
		}
		if left = append(left, t); t.parts == nil {
			e.refusals.forget(t.source)
			t.described = time.Time{}
			changed = append(changed, t)
		}
	}
	return left, e.describe(ctx, changed, nil)
}

// notEmpty marks those that hold records already as ready: they aren't held.
func (fl *flow) notEmpty(ctx context.Context, topics []instep.Topic, there map[string]rawkafka.Topic) error {
	var ps []rawkafka.Partition
	for _, t := range topics {
		for i := range there[t.Target].Partitions {
			ps = append(ps, rawkafka.Partition{Topic: t.Target, TopicID: t.TargetID, Partition: int32(i)})
		}
	}
	ends, err := fl.far.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return fmt.Errorf("target: offsets: %w", err)
	}
	for i := range topics {
		t := &topics[i]
		t.Ready = t.Ready || slices.ContainsFunc(ps, func(p rawkafka.Partition) bool {
			return p.TopicID == t.TargetID && (ends[p].Err != nil || ends[p].Offset > 0)
		})
	}
	return nil
}

// describe reads some configs of topics. Those that may not be read are left out.
func describe(ctx context.Context, c *rawkafka.Cluster, topics []pair, name func(pair) string) (map[string]map[string]string, error) {
	res := make(map[string]map[string]string)
	for chunk := range slices.Chunk(topics, 500) {
		req := kmsg.NewPtrDescribeConfigsRequest()
		for _, t := range chunk {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name(t), describedConfigs()
			req.Resources = append(req.Resources, r)
		}
		resp, err := rawkafka.Anyone(ctx, c, req)
		if err != nil {
			return nil, fmt.Errorf("describe configs: %w", err)
		}
		for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
			configs := make(map[string]string)
			for _, rc := range r.Configs {
				if rc.Value != nil {
					configs[rc.Name] = *rc.Value
				}
			}
			res[r.ResourceName] = configs
		}
	}
	return res, nil
}

// createPartitions grows a copy.
func (fl *flow) createPartitions(ctx context.Context, name string, n int) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = name, int32(n)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, fl.target.Client())
	if err != nil {
		return err
	}
	for _, rt := range resp.Topics {
		if err := answer(rt.ErrorCode, rt.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// deleteCopy deletes a copy on the standby, as a policy has it.
func (e *engine) deleteCopy(ctx context.Context, t *topic) {
	dctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	err := e.target.Unthrottled(dctx, "delete topic", func() error { return e.target.DeleteTopic(dctx, t.target, t.targetID) })
	if err != nil && !rawkafka.Unknown(err) {
		e.refusedTopic(t, fmt.Errorf("delete: %w", err))
	}
}

// answer is an error code with the broker's message.
func answer(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%w (%s)", err, *message)
	}
	return err
}
