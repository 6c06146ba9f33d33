package backup

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// describeCluster reads ACLs, quotas and SCRAM user names; what can't be read is
// named with the reason.
func describeCluster(ctx context.Context, c *rawkafka.Cluster, leftOut []string) (*storage.Cluster, error) {
	d := &storage.Cluster{LeftOut: leftOut, Unread: map[string]string{}}
	brokers, err := c.Admin().ListBrokers(ctx)
	if err != nil {
		d.Unread["brokers"] = err.Error()
	}
	d.Brokers = len(brokers)
	if d.ACLs, err = describeACLs(ctx, c); err != nil {
		d.Unread["acls"] = err.Error()
	}
	if d.Quotas, err = describeQuotas(ctx, c); err != nil {
		d.Unread["quotas"] = err.Error()
	}
	if d.ScramUsers, err = describeScram(ctx, c); err != nil {
		d.Unread["scram_users"] = err.Error()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return d, nil
}

func describeACLs(ctx context.Context, c *rawkafka.Cluster) ([]storage.ACL, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType = kmsg.ACLResourceTypeAny
	req.ResourcePatternType = kmsg.ACLResourcePatternTypeAny
	req.Operation = kmsg.ACLOperationAny
	req.PermissionType = kmsg.ACLPermissionTypeAny
	resp, err := req.RequestWith(ctx, c.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if errors.Is(err, kerr.SecurityDisabled) {
		return nil, nil // there are none
	}
	if err != nil {
		return nil, err
	}
	var acls []storage.ACL
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			acls = append(acls, storage.ACL{
				ResourceType: r.ResourceType.String(), ResourceName: r.ResourceName, PatternType: r.ResourcePatternType.String(),
				Principal: a.Principal, Host: a.Host, Operation: a.Operation.String(), Permission: a.PermissionType.String(),
			})
		}
	}
	slices.SortFunc(acls, func(a, b storage.ACL) int {
		return strings.Compare(a.ResourceType+"\x00"+a.ResourceName+"\x00"+a.PatternType+"\x00"+a.Principal+"\x00"+a.Operation+"\x00"+a.Host+"\x00"+a.Permission,
			b.ResourceType+"\x00"+b.ResourceName+"\x00"+b.PatternType+"\x00"+b.Principal+"\x00"+b.Operation+"\x00"+b.Host+"\x00"+b.Permission)
	})
	return acls, nil
}

func describeQuotas(ctx context.Context, c *rawkafka.Cluster) ([]storage.Quota, error) {
	resp, err := kmsg.NewPtrDescribeClientQuotasRequest().RequestWith(ctx, c.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	var quotas []storage.Quota
	for _, e := range resp.Entries {
		q := storage.Quota{Entity: map[string]*string{}, Values: map[string]float64{}}
		for _, entity := range e.Entity {
			q.Entity[entity.Type] = entity.Name
		}
		for _, v := range e.Values {
			q.Values[v.Key] = v.Value
		}
		quotas = append(quotas, q)
	}
	return quotas, nil
}

func describeScram(ctx context.Context, c *rawkafka.Cluster) ([]string, error) {
	resp, err := rawkafka.ScramUsers().RequestWith(ctx, c.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	var users []string
	for _, r := range resp.Results {
		users = append(users, r.User)
	}
	slices.Sort(users)
	return users, nil
}

// describeTopics makes the snapshot's topics of the cluster's, with their
// effective configs.
func describeTopics(ctx context.Context, c *rawkafka.Cluster, topics map[string]rawkafka.Topic) ([]storage.Topic, error) {
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, nil
	}
	configs, err := c.Admin().DescribeTopicConfigs(ctx, names...)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	described := make([]storage.Topic, 0, len(names))
	for _, name := range names {
		t := topics[name]
		d := storage.Topic{ID: t.ID, Name: name, Partitions: int32(len(t.Partitions)), Internal: t.Internal}
		if len(t.Partitions) > 0 {
			d.ReplicationFactor = int16(len(t.Partitions[0].Replicas))
		}
		rc, cerr := configs.On(name, nil)
		switch {
		case err != nil && cerr != nil:
			d.ConfigsError = err.Error()
		case cerr != nil:
			d.ConfigsError = cerr.Error()
		case rc.Err != nil:
			d.ConfigsError = rc.Err.Error()
		}
		d.Configs = configsOf(rc)
		described = append(described, d)
	}
	return described, nil
}

func configsOf(rc kadm.ResourceConfig) []storage.TopicConfig {
	configs := make([]storage.TopicConfig, 0, len(rc.Configs))
	for _, c := range rc.Configs {
		configs = append(configs, storage.TopicConfig{Key: c.Key, Value: c.Value, Source: c.Source.String()})
	}
	slices.SortFunc(configs, func(a, b storage.TopicConfig) int { return strings.Compare(a.Key, b.Key) })
	return configs
}
