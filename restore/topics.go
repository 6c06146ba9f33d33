package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

const (
	// adminPartitions is how many partitions one CreateTopics request may make (Kafka bounds it),
	// adminTopics how many topics one request names.
	adminPartitions = 1000
	adminTopics     = 100
	adminTimeout    = 30 * time.Second
)

// validateConfigs asks the target whether it takes the configs of topics that
// don't exist yet. Those that it doesn't are left out, one by one, with a warning; the timestamp
// limits with a conflict, if records need them.
func (p *planner) validateConfigs(ctx context.Context) error {
	var missing []*topicJob
	for _, t := range p.topics {
		if !t.exists && len(t.name) <= topics.MaxName && int(t.rf) > 0 {
			missing = append(missing, t)
		}
	}
	answers, err := createTopics(ctx, p.cluster, missing, true)
	if err != nil {
		return fmt.Errorf("restore: target: validate topics: %w", err)
	}
	for _, t := range missing {
		err := answers[t.name]
		if errors.Is(err, kerr.InvalidConfig) {
			err = p.dropConfigs(ctx, t)
		}
		switch {
		case err == nil, errors.Is(err, kerr.TopicAlreadyExists), errors.Is(err, kerr.InvalidReplicationFactor):
		default:
			p.refuse(topicConflict(t.name, "topic", "the target wouldn't create it: %v", err))
		}
	}
	return nil
}

// dropConfigs finds the configs that the target doesn't take, by trying each alone.
func (p *planner) dropConfigs(ctx context.Context, t *topicJob) error {
	all := t.configs.copying
	for _, key := range sortedKeys(all) {
		probe := *t
		probe.configs.copying = map[string]string{key: all[key]}
		answers, err := createTopics(ctx, p.cluster, []*topicJob{&probe}, true)
		if err != nil {
			return err
		}
		if err := answers[t.name]; errors.Is(err, kerr.InvalidConfig) {
			t.configs.warnings = append(t.configs.warnings, fmt.Sprintf("config %s=%s is left out: %v", key, all[key], err))
			t.configs.drop(key)
			if key == cfgAfter && t.newest() > time.Now().Add(time.Hour).UnixMilli() {
				p.refuse(topicConflict(t.name, "timestamps", "records up to %s, and the target refuses to take timestamps ahead of its clock", time.UnixMilli(t.newest()).UTC().Format(time.RFC3339)))
			}
		}
	}
	answers, err := createTopics(ctx, p.cluster, []*topicJob{t}, true)
	if err != nil {
		return err
	}
	return answers[t.name]
}

// newest is the topic's greatest timestamp.
func (t *topicJob) newest() int64 {
	var n int64
	for _, j := range t.partitions {
		n = max(n, j.total.maxStamp)
	}
	return n
}

// createTopics creates topics as they are while copying, or only asks. It returns each topic's
// answer.
func createTopics(ctx context.Context, c *rawkafka.Cluster, topics []*topicJob, validateOnly bool) (map[string]error, error) {
	answers := map[string]error{}
	for len(topics) > 0 {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis, req.ValidateOnly = int32(adminTimeout.Milliseconds()), validateOnly
		var partitions int32
		for len(topics) > 0 && len(req.Topics) < adminTopics && (partitions == 0 || partitions+topics[0].source.Partitions <= adminPartitions) {
			req.Topics = append(req.Topics, topics[0].creation())
			partitions += topics[0].source.Partitions
			topics = topics[1:]
		}
		if err := c.Unthrottled(ctx, "create topics", func() error { return createSome(ctx, c, req, answers) }); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// createSome takes the answers in. Topics that a quota holds back are what is left in the request
// then, and the error.
func createSome(ctx context.Context, c *rawkafka.Cluster, req *kmsg.CreateTopicsRequest, answers map[string]error) (throttled error) {
	resp, err := req.RequestWith(ctx, c.Client())
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		err := answer(t.ErrorCode, t.ErrorMessage)
		if errors.Is(err, kerr.ThrottlingQuotaExceeded) {
			throttled = err
			continue
		}
		answers[t.Topic] = err
		req.Topics = slices.DeleteFunc(req.Topics, func(rt kmsg.CreateTopicsRequestTopic) bool { return rt.Topic == t.Topic })
	}
	return throttled
}

func (t *topicJob) creation() kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.name, t.source.Partitions, t.rf
	for _, key := range sortedKeys(t.configs.copying) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		value := t.configs.copying[key]
		rc.Name, rc.Value = key, &value
		rt.Configs = append(rt.Configs, rc)
	}
	return rt
}

// answer is an error code with the broker's message.
func answer(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%w (%s)", err, *message)
	}
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// alterConfigs sets configs of topics, or, where the value is nil, gives the target's default back.
// It skips what is so already, and keys that the target doesn't know. It returns what was changed.
func alterConfigs(ctx context.Context, c *rawkafka.Cluster, set map[string]map[string]*string) (map[string]map[string]string, error) {
	changed := map[string]map[string]string{}
	names := sortedKeys(set)
	for batch := range slices.Chunk(names, adminTopics) {
		now, err := describeTopics(ctx, c, batch)
		if err != nil {
			return changed, err
		}
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		for _, name := range batch {
			if r, did := alteration(name, set[name], now[name]); len(did) > 0 {
				req.Resources = append(req.Resources, r)
				changed[name] = did
			}
		}
		if len(req.Resources) == 0 {
			continue
		}
		resp, err := req.RequestWith(ctx, c.Client())
		if err != nil {
			return changed, fmt.Errorf("alter configs: %w", err)
		}
		for _, r := range resp.Resources {
			if err := answer(r.ErrorCode, r.ErrorMessage); err != nil {
				return changed, fmt.Errorf("%s: alter configs: %w", r.ResourceName, err)
			}
		}
	}
	return changed, nil
}

// current is a topic's config on the target.
type current struct {
	value string
	own   bool // set on the topic itself
}

func alteration(name string, set map[string]*string, now map[string]current) (kmsg.IncrementalAlterConfigsRequestResource, map[string]string) {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	did := map[string]string{}
	for _, key := range sortedKeys(set) {
		value := set[key]
		is, known := now[key]
		if !known || value == nil && !is.own || value != nil && is.own && is.value == *value {
			continue
		}
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Op, rc.Value = key, kmsg.IncrementalAlterConfigOpSet, value
		did[key] = ""
		if value == nil {
			rc.Op = kmsg.IncrementalAlterConfigOpDelete
		} else {
			did[key] = *value
		}
		r.Configs = append(r.Configs, rc)
	}
	return r, did
}

// describeTopics reads the configs of topics.
func describeTopics(ctx context.Context, c *rawkafka.Cluster, names []string) (map[string]map[string]current, error) {
	rs, err := c.Admin().DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe configs: %w", err)
	}
	res := map[string]map[string]current{}
	for _, r := range rs {
		if r.Err != nil {
			return nil, fmt.Errorf("%s: describe configs: %w", r.Name, r.Err)
		}
		configs := map[string]current{}
		for _, e := range r.Configs {
			configs[e.Key] = current{e.MaybeValue(), e.Source == kmsg.ConfigSourceDynamicTopicConfig}
		}
		res[r.Name] = configs
	}
	return res, nil
}
