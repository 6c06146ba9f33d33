package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/offsets"
)

// ExactOffsets is an [OffsetCarrier] for exact copies, whose mirror carries committed offsets as
// they are: it looks at what groups have committed on the standby. What lies past the end of a log,
// of a group that had consumed records which the standby never got, is committed at the end: else
// its consumers would leave out as many new records, or be reset.
type ExactOffsets struct {
	GroupChoice
	// Captured is what the source's groups had committed, by an archive or an earlier look, where
	// no mirror carries it. It is committed as it is: never a rewind, never past the end. Default
	// none.
	Captured func(ctx context.Context, r CarryRequest) (*offsets.Groups, error)
}

// Carry implements [OffsetCarrier].
func (e ExactOffsets) Carry(ctx context.Context, r CarryRequest) (OffsetsResult, error) {
	cl, err := admin(ctx, r.To, e.Opts)
	if err != nil {
		return OffsetsResult{}, err
	}
	defer cl.Close()
	c := &carrier{GroupChoice: e.GroupChoice, cl: cl.Client(), req: r}
	if e.Captured != nil {
		captured, err := e.Captured(ctx, r)
		if err != nil {
			return c.res, fmt.Errorf("captured offsets: %w", err)
		}
		if err := c.commit(ctx, captured, offsets.Through(offsets.Exact{}), false); err != nil {
			return c.res, err
		}
		c.res.Groups, c.res.Offsets = 0, 0 // they are counted as they are found
	}
	return c.res, c.verify(ctx)
}

// verify looks at the standby's groups, and cuts what is past the end.
func (c *carrier) verify(ctx context.Context) error {
	found, err := offsets.Capture(ctx, c.cl, offsets.CaptureConfig{Only: c.Only, Exclude: c.Exclude, SkipPending: true})
	if err != nil {
		return err
	}
	for _, u := range found.Unread {
		c.res.detail("groups may be missing: %s", u)
	}
	past := c.past(found)
	groups, committed := c.res.Groups, c.res.Offsets
	if len(past.Groups) > 0 {
		err = c.commit(ctx, past, offsets.Through(offsets.Exact{}), true)
	}
	c.res.Groups, c.res.Offsets = groups, committed
	return err
}

// past are the offsets that are past the end; all of the scope's are counted.
func (c *carrier) past(found *offsets.Groups) *offsets.Groups {
	end := endsOf(c.req.Ends)
	past := &offsets.Groups{ClusterID: found.ClusterID, At: found.At}
	for _, g := range found.Groups {
		if g.Error != "" {
			c.res.Held++
			c.res.detail("group %s: %s", quote.Name(g.Group), g.Error)
		}
		seen := 0
		all := g.Offsets
		g.Offsets, g.Error = nil, ""
		for _, o := range all {
			if !slices.Contains(c.req.Topics, o.Topic) {
				continue
			}
			seen++
			if at, ok := end(o.Topic, o.Partition); ok && o.Offset > at {
				c.res.detail("group %s: %s/%d at %d is past the end, %d, which is committed instead", quote.Name(g.Group), quote.Name(o.Topic), o.Partition, o.Offset, at)
				g.Offsets = append(g.Offsets, o)
			}
		}
		if c.res.Offsets += seen; seen > 0 {
			c.res.Groups++
		}
		if len(g.Offsets) > 0 {
			past.Groups = append(past.Groups, g)
		}
	}
	return past
}
