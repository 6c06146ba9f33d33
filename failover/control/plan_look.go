package control

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/internal/reach"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// access is how clusters are looked at: a seam for tests in simulated time.
type access interface {
	// look reads a cluster's ID and topics.
	look(ctx context.Context, c failover.Cluster) (*clusterView, error)
	// ends are the high watermarks of all partitions of topics, sorted; notes say what is odd about
	// them.
	ends(ctx context.Context, c failover.Cluster, topics []string) (forks []register.Fork, notes []string, err error)
}

// clusterView is what a cluster has.
type clusterView struct {
	id     string
	topics map[string]topicView
}

type topicView struct {
	internal   bool
	partitions int
	// offline counts partitions without a leader, denied says that the client mustn't write.
	offline int
	denied  bool
}

// scope are the partitions of the selected topics.
func (v *clusterView) scope(sel *topics.Selection) map[string]int {
	scope := map[string]int{}
	for name, t := range v.topics {
		if sel.Takes(name, t.internal) {
			scope[name] = t.partitions
		}
	}
	return scope
}

// kafkaAccess looks at Kafka.
type kafkaAccess struct{ onRetry func(op string, err error) }

func (a kafkaAccess) connect(ctx context.Context, c failover.Cluster) (*rawkafka.Cluster, error) {
	return reach.Connect(ctx, c.AllPaths(), a.onRetry)
}

func (a kafkaAccess) look(ctx context.Context, c failover.Cluster) (*clusterView, error) {
	cl, err := a.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, cl.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	v := &clusterView{id: cl.ID(), topics: make(map[string]topicView, len(resp.Topics))}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.Topic != nil && t.ErrorCode == 0 {
			v.topics[*t.Topic] = viewOf(t)
		}
	}
	return v, nil
}

func viewOf(t *kmsg.MetadataResponseTopic) topicView {
	v := topicView{internal: t.IsInternal, partitions: len(t.Partitions)}
	v.denied = t.AuthorizedOperations != math.MinInt32 && t.AuthorizedOperations&(1<<kmsg.ACLOperationWrite) == 0
	for _, p := range t.Partitions {
		if p.Leader < 0 {
			v.offline++
		}
	}
	return v
}

// settled is how long ends waits for followers: until then, what a leader has above the high
// watermark isn't known to stay.
const settled = time.Second

// ends waits until high watermarks and true ends are the same: what a mirror appended last is below
// both then. Where a follower doesn't come, the watermark is taken, and noted.
func (a kafkaAccess) ends(ctx context.Context, c failover.Cluster, topics []string) ([]register.Fork, []string, error) {
	cl, err := a.connect(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	defer cl.Close()
	ps, err := partitionsOf(ctx, cl, topics)
	if err != nil {
		return nil, nil, err
	}
	for started, n := time.Now(), 0; ; n++ {
		forks, open, err := endsOnce(ctx, cl, ps)
		if err != nil || len(open) == 0 {
			return forks, nil, err
		}
		if time.Since(started) > settled {
			return forks, []string{"followers lag behind in " + some(open) + ": the high watermark is taken"}, nil
		}
		if err := rawkafka.Sleep(ctx, min(rawkafka.Backoff(n), settled/10)); err != nil {
			return nil, nil, err
		}
	}
}

func partitionsOf(ctx context.Context, cl *rawkafka.Cluster, topics []string) ([]rawkafka.Partition, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	found, err := cl.Topics(ctx, topics...)
	if err != nil {
		return nil, err
	}
	var ps []rawkafka.Partition
	for _, name := range topics {
		t := found[name]
		if t.Err != nil {
			return nil, fmt.Errorf("%s: %w", name, t.Err)
		}
		for _, p := range t.Partitions {
			ps = append(ps, rawkafka.Partition{Topic: name, TopicID: t.ID, Partition: p.Partition})
		}
	}
	return ps, nil
}

// endsOnce lists both ends; open are partitions where they differ. The true end is asked for first,
// so that it isn't the later one.
func endsOnce(ctx context.Context, cl *rawkafka.Cluster, ps []rawkafka.Partition) (forks []register.Fork, open []string, err error) {
	ends, err := cl.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err != nil {
		return nil, nil, err
	}
	marks, err := cl.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range ps {
		if err := marks[p].Err; err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p, err)
		}
		if e := ends[p]; e.Err == nil && e.Offset > marks[p].Offset {
			open = append(open, p.String())
		}
		forks = append(forks, register.Fork{Topic: p.Topic, Partition: p.Partition, Offset: marks[p].Offset})
	}
	return forks, open, nil
}

// some names a few of many.
func some(names []string) string {
	slices.Sort(names)
	const most = 5
	if n := len(names); n > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(names, ", ")
}
