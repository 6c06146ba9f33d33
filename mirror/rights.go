package mirror

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// right is an operation on a topic that a mirror needs.
type right struct {
	op kmsg.ACLOperation
	// must: nothing can be mirrored without it; else why says what suffers.
	must bool
	why  string
}

func sourceRights() []right {
	return []right{{op: kmsg.ACLOperationRead, must: true}, {op: kmsg.ACLOperationDescribeConfigs, why: "configs aren't kept in step"}}
}

func targetRights() []right {
	return []right{
		{op: kmsg.ACLOperationWrite, must: true}, {op: kmsg.ACLOperationRead, must: true},
		{op: kmsg.ACLOperationDelete, why: "the log start doesn't follow the source's"},
		{op: kmsg.ACLOperationAlter, why: "partitions aren't added"},
		{op: kmsg.ACLOperationAlterConfigs, why: "configs aren't kept in step, and retention stays held back"},
	}
}

// named are the plan's topics that are there on either side.
func (pl *planner) named() (source, target []string) {
	for _, t := range pl.p.Topics {
		source = append(source, t.Source)
		if !t.Create {
			target = append(target, t.Target)
		}
	}
	return source, target
}

// rights looks what the brokers say that may be done with the topics that are there.
func (fl *flow) rights(ctx context.Context, source, target []string) (warnings []string, conflicts []Conflict, err error) {
	var there []string
	var alsoThere []Conflict
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		warnings, conflicts, err = rightsOn(gctx, "the source", fl.source, source, sourceRights())
		return err
	})
	g.Go(func() (err error) {
		there, alsoThere, err = rightsOn(gctx, "the target", fl.target, target, targetRights())
		return err
	})
	err = g.Wait()
	return append(warnings, there...), append(conflicts, alsoThere...), err
}

func rightsOn(ctx context.Context, side string, c *rawkafka.Cluster, names []string, needed []right) (warnings []string, conflicts []Conflict, err error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	req := rawkafka.MetadataOf(names...)
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, c.Client())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: rights: %w", side, err)
	}
	lacking := make(map[string][]string)
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || t.Topic == nil || t.AuthorizedOperations == math.MinInt32 { // not told
			continue
		}
		for _, r := range needed {
			switch {
			case t.AuthorizedOperations&(1<<r.op) != 0:
			case r.must:
				conflicts = append(conflicts, topicConflict(*t.Topic, string(Denied), "the right to %s it on %s is missing", r.op, side))
			default:
				what := fmt.Sprintf("the right to %s is missing on %s: %s", r.op, side, r.why)
				lacking[what] = append(lacking[what], *t.Topic)
			}
		}
	}
	for what, topics := range lacking {
		slices.Sort(topics)
		if n := len(topics); n > 5 {
			topics = append(topics[:5:5], fmt.Sprintf("and %d more", n-5))
		}
		warnings = append(warnings, what+": "+strings.Join(topics, ", "))
	}
	slices.Sort(warnings)
	return warnings, conflicts, nil
}
