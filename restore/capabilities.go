package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
)

// capability is what the restore needs the target for, and the requests that do it.
type capability struct {
	needed bool
	what   string
	keys   []kmsg.Key
}

// capabilities refuses a plan for which a broker of the target lacks a request (ApiVersions): the
// run would fail half way. What is only helpful (DescribeProducers, DescribeTransactions) is done
// without.
func (p *planner) capabilities(ctx context.Context) error {
	lacks, err := p.lacks(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: api versions: %w", err)
	}
	for _, c := range p.needs() {
		var missing []string
		for _, k := range c.keys {
			if lacks[k] {
				missing = append(missing, k.Name())
			}
		}
		if c.needed && len(missing) > 0 {
			p.refuse(clusterConflict("unsupported", "the target's brokers don't know %s, needed to %s", strings.Join(missing, ", "), c.what))
		}
	}
	return nil
}

// needs are the requests beside those that NewPlan has made itself by then.
func (p *planner) needs() []capability {
	var create, alter, starts, holes, rows bool
	for _, t := range p.topics {
		create = create || !t.exists
		configs, logStarts, markers := p.how.touches(t)
		alter, starts, holes = alter || configs, starts || logStarts, holes || markers
		for _, j := range t.partitions {
			rows = rows || j.todo.records > 0
		}
	}
	return []capability{
		{create, "create topics", []kmsg.Key{kmsg.CreateTopics}},
		{rows, "append records", []kmsg.Key{kmsg.Produce}},
		{alter, "give topics their own configs after the copy", []kmsg.Key{kmsg.DescribeConfigs, kmsg.IncrementalAlterConfigs}},
		{starts, "move the log start offset", []kmsg.Key{kmsg.DeleteRecords}},
		{
			holes && p.plan.HoleMethod == string(exactcopy.Transactions), "make holes where markers can't be written (WriteTxnMarkers)",
			[]kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn},
		},
		{len(p.plan.Groups) > 0, "set groups' offsets", []kmsg.Key{kmsg.OffsetCommit}},
		{p.plan.ACLs > 0, "create ACLs", []kmsg.Key{kmsg.CreateACLs}},
	}
}

// lacks are the requests that some broker doesn't know, of those that needs names.
func (p *planner) lacks(ctx context.Context) (map[kmsg.Key]bool, error) {
	versions, err := p.cluster.Admin().ApiVersions(ctx)
	if err != nil {
		return nil, err
	}
	lacks := make(map[kmsg.Key]bool)
	for _, broker := range versions {
		if broker.Err != nil {
			continue // it is away; the others tell
		}
		for _, c := range p.needs() {
			for _, k := range c.keys {
				if _, ok := broker.KeyMaxVersion(int16(k)); !ok {
					lacks[k] = true
				}
			}
		}
	}
	return lacks, nil
}
