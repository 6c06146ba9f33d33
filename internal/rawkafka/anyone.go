package rawkafka

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// askNext is how long whoever was asked first has to itself. A broker that stands still holds up
// what any broker could answer for no longer than that.
const askNext = 250 * time.Millisecond

// request is a request of a type that can be copied.
type request[T any] interface {
	*T
	kmsg.Request
}

// Anyone asks what any broker can answer: one, and another each 250 ms for as long as no answer has
// come, or at once where one has failed. Those that have answered before others come first. The
// first answer counts; where none comes, the first error does, but a *[WrongClusterError] goes
// before. It ends with Config.RequestTimeout. What a broker does for a request twice must be the
// same as once.
//
// Metadata are asked for through kgo first, which learns from the answer which brokers there are.
// Everything else goes to one broker as it is: kgo would split it up by leader, or look for a
// coordinator.
func Anyone[T any, R request[T]](ctx context.Context, c *Cluster, req R) (kmsg.Response, error) {
	dctx, cancel := context.WithTimeoutCause(ctx, c.cfg.RequestTimeout, errDeadline)
	defer cancel()
	type answer struct {
		resp kmsg.Response
		err  error
		from other
	}
	left := c.others(req.Key() == int16(kmsg.Metadata))
	answers := make(chan answer, len(left))
	asked := 0
	ask := func() {
		if len(left) == 0 {
			return
		}
		from, own := left[0], *req // kgo writes the version into it
		left, asked = left[1:], asked+1
		go func() {
			a := answer{from: from}
			a.resp, a.err = from.Request(dctx, R(&own))
			answers <- a
		}()
	}
	ask()
	next := time.NewTicker(askNext)
	defer next.Stop()
	var failed error
	for {
		select {
		case a := <-answers:
			if asked--; a.err == nil {
				c.noteAnswer(a.from, a.resp)
				return a.resp, nil
			}
			if failed == nil || isWrong(a.err) && !isWrong(failed) {
				failed = a.err
			}
			if dctx.Err() != nil {
				return nil, context.Cause(dctx)
			}
			if ask(); asked == 0 {
				return nil, failed
			}
		case <-next.C:
			ask()
		case <-dctx.Done():
			return nil, context.Cause(dctx)
		}
	}
}

// other is a broker that may be asked.
type other struct {
	kmsg.Requestor
	id int32 // -1: not known
}

// others are whom to ask, in this order: the brokers that are known, the one that answered last in
// front and before all of them, for metadata, kgo's own choice. Where no broker is known it is
// kgo's choice alone, as often as there are seeds: kgo takes another one each time.
func (c *Cluster) others(metadata bool) []other {
	c.mu.Lock()
	nodes, answered := slices.Clone(c.nodes), c.answered
	c.mu.Unlock()
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	if i := slices.Index(nodes, answered); i >= 0 {
		nodes[0], nodes[i] = nodes[i], nodes[0]
	}
	chosen := other{c.cl, -1}
	var others []other
	if metadata {
		others = append(others, chosen)
	}
	for _, id := range nodes {
		others = append(others, other{c.cl.Broker(int(id)), id})
	}
	if len(nodes) > 0 {
		return others
	}
	for _, b := range c.cl.DiscoveredBrokers() {
		others = append(others, other{b, -1})
	}
	if len(others) == 0 || metadata && len(others) == 1 {
		return slices.Repeat([]other{chosen}, max(len(c.cl.SeedBrokers()), 1))
	}
	return others
}

// noteAnswer notes who has answered instead of whom kgo has asked, and which brokers there are.
func (c *Cluster) noteAnswer(from other, resp kmsg.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from.id >= 0 {
		c.answered = from.id
	}
	if m, ok := resp.(*kmsg.MetadataResponse); ok {
		c.nodes = c.nodes[:0]
		for _, b := range m.Brokers {
			c.nodes = append(c.nodes, b.NodeID)
		}
	}
}

// Answer is what one broker says.
type Answer struct {
	Broker int32
	Resp   kmsg.Response
	Err    error
}

// Each asks every broker, all at once and each with Config.RequestTimeout: one that stands still
// has an error then, and the others' answers are there. The error is that of asking which brokers
// there are, or the context's. kgo's RequestSharded waits for each broker for as long as it tries,
// whatever the context.
func Each[T any, R request[T]](ctx context.Context, c *Cluster, req R) ([]Answer, error) {
	none := kmsg.NewPtrMetadataRequest()
	none.Topics = []kmsg.MetadataRequestTopic{}
	m, err := c.metadata(ctx, none)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(m.Brokers))
	var wg sync.WaitGroup
	for i, b := range m.Brokers {
		wg.Go(func() {
			own := *req
			a := Answer{Broker: b.NodeID}
			a.Resp, a.Err = c.Request(ctx, b.NodeID, R(&own))
			answers[i] = a
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answers, nil
}

// Hasty is the same connection with other deadlines: of each request, and of trying again.
func (c *Cluster) Hasty(requestTimeout, retryFor time.Duration) *Cluster {
	cfg := c.cfg
	cfg.RequestTimeout, cfg.RetryFor = requestTimeout, retryFor
	return &Cluster{cfg: cfg, connection: c.connection}
}
