package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/offsets"
)

// GroupChoice says which groups a carrier looks at, and how. The zero value is all.
type GroupChoice struct {
	// Only and Exclude are regular expressions, anchored, of groups.
	Only, Exclude []string
	// Save is given what was committed on the standby, before the first commit; an error vetoes.
	// Default: it isn't kept.
	Save func(*offsets.Before) error
	// Opts are the client's options for the standby, where it may read and commit groups. Default:
	// the [failover.Cluster]'s own.
	Opts func(cluster string) []kgo.Opt
}

const maxDetail = 100

func (r *OffsetsResult) detail(format string, args ...any) {
	if len(r.Detail) < maxDetail {
		r.Detail = append(r.Detail, fmt.Sprintf(format, args...))
	}
}

// carrier commits on the standby.
type carrier struct {
	GroupChoice
	cl  *kgo.Client
	req CarryRequest
	res OffsetsResult
}

// commit plans and applies what was captured, but for what the scope hasn't got. Groups that fail
// by themselves are held, not a veto: their offsets are what the mirror left.
func (c *carrier) commit(ctx context.Context, captured *offsets.Groups, translate func(context.Context, offsets.Committed) (offsets.Translated, error), rewind bool) error {
	p, err := offsets.NewGroupsPlan(ctx, c.cl, offsets.PlanConfig{
		Groups: captured, Only: c.Only, Exclude: c.Exclude, AllowRewind: rewind,
		Translate: func(ctx context.Context, at offsets.Committed) (offsets.Translated, error) {
			t, err := translate(ctx, at)
			if err == nil && t.Topic != "" && !slices.Contains(c.req.Topics, t.Topic) {
				return t, offsets.ErrLeftOut
			}
			return t, err
		},
	})
	if err != nil {
		return err
	}
	save := c.Save
	if save == nil {
		save = func(*offsets.Before) error { return nil }
	}
	done, err := p.Apply(ctx, c.cl, offsets.ApplyConfig{Save: save, SkipRefused: true})
	if done == nil {
		return err
	}
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.res.Held++
		c.res.detail("not all could be committed: %v", err)
	}
	c.count(p, done)
	return nil
}

// count adds a plan's result up.
func (c *carrier) count(p *offsets.GroupsPlan, done *offsets.Result) {
	for _, g := range p.Groups {
		if len(g.Offsets) > 0 {
			c.res.Groups++
			c.res.Offsets += len(g.Offsets)
		}
	}
	c.res.Committed += done.Offsets
	for _, r := range done.Refused {
		if r.Why == offsets.WhyUnresolved {
			c.res.Unknown++
		} else {
			c.res.Held++
		}
		c.res.detail("%s", r)
	}
}

// endsOf finds a partition's end among forks.
func endsOf(forks []register.Fork) func(topic string, partition int32) (int64, bool) {
	ends := make(map[register.Fork]int64, len(forks))
	for _, f := range forks {
		ends[register.Fork{Topic: f.Topic, Partition: f.Partition}] = f.Offset
	}
	return func(topic string, partition int32) (int64, bool) {
		end, ok := ends[register.Fork{Topic: topic, Partition: partition}]
		return end, ok
	}
}

var errNoCaptured = errors.New("nothing says what the source's groups had committed: Captured")
