package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Released is what Release did.
type Released struct {
	// Topics are the configs set, by topic. An empty value gave the target's default back.
	Topics map[string]map[string]string `json:"topics"`
	// Missing are topics of the snapshot that the target doesn't have: they were never restored, or
	// deleted since.
	Missing []string `json:"missing"`
}

// Release gives topics that cfg selects the policies back that Run held: retention, cleanup,
// timestamp limits. It needs no state: what they shall be is in the snapshot, and a config that
// isn't as Run left it was changed since and stays. From then on the target may delete and compact
// restored records. It is safe to call again. After a translated restore, set [Config.Offsets] as
// for that: only topics that the restore made itself are looked at then; others were never touched.
func Release(ctx context.Context, cfg Config) (*Released, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	j, err := newJob(ctx, cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	c, err := j.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if c.ID() == j.info.ClusterID && !cfg.SameCluster {
		return nil, refuse(clusterConflict("same_cluster", "the target is the source cluster %s", c.ID()))
	}
	set, missing, err := j.releases(ctx, c)
	if err != nil {
		return nil, err
	}
	changed, err := alterConfigs(ctx, c, set)
	if err != nil {
		return nil, fmt.Errorf("restore: release: %w", err)
	}
	return &Released{Topics: changed, Missing: missing}, nil
}

// releases finds what is still held, and the topics that aren't there.
func (j *job) releases(ctx context.Context, c *rawkafka.Cluster) (map[string]map[string]*string, []string, error) {
	var names []string
	for _, t := range j.topics {
		names = append(names, t.name)
	}
	set, missing := map[string]map[string]*string{}, []string{}
	if len(names) == 0 {
		return set, missing, nil
	}
	meta, err := c.Topics(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("restore: release: %w", err)
	}
	made, err := j.how.made(ctx, j, c)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range j.topics {
		switch err := meta[t.name].Err; {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			missing = append(missing, t.name)
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("restore: release: %s: %w", t.name, err)
		}
		if t.id = meta[t.name].ID; !made(t) {
			continue
		}
		now, err := describeTopics(ctx, c, []string{t.name})
		if err != nil {
			return nil, nil, fmt.Errorf("restore: release: %w", err)
		}
		t.configs = newTopicConfigs(t.source, t.source.ReplicationFactor, 0)
		set[t.name] = t.configs.releases(now[t.name])
	}
	if len(missing) == len(names) {
		return nil, nil, fmt.Errorf("restore: release: the target has none of the topics: %s", summary(missing))
	}
	return set, missing, nil
}

// noted says whether a translated restore made the topic: this one, or another of the same source
// topic.
func (j *job) noted(notes []ledger.Restore, t *topicJob) bool {
	return slices.ContainsFunc(notes, func(n ledger.Restore) bool {
		return n.Created && n.SourceCluster == j.info.ClusterID && n.TargetTopic == t.name && n.TargetTopicID == t.id.String() && n.SourceTopic == t.source.Name
	})
}

// summary is the first few names.
func summary(names []string) string {
	const most = 5
	if n := len(names) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n)
	}
	return strings.Join(names, ", ")
}

// releases are the configs that are held now, with what they shall be.
func (c *topicConfigs) releases(now map[string]current) map[string]*string {
	set := map[string]*string{}
	for key, value := range holds {
		is, known := now[key]
		if !known || !is.own || is.value != value {
			continue
		}
		if final, ok := c.final[key]; ok {
			set[key] = &final
		} else {
			set[key] = nil
		}
	}
	return set
}
