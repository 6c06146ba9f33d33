package rawkafka

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// askNext is how long whoever was asked first has to itself. A broker that stands still holds up what any broker could answer for no longer than that.
const askNext = 250 * time.Millisecond

// request is a request of a type that can be copied.
type request[T any] interface {
	*T
	kmsg.Request
}

// Anyone asks what any broker can answer: one as kgo sees fit, and beside it, as long as no answer has come, one more of the others each 250 ms, the one first that
// answered last. The first answer counts. It ends with Config.RequestTimeout. What a broker does for a request twice must be the same as once.
func Anyone[T any, R request[T]](ctx context.Context, c *Cluster, req R) (kmsg.Response, error) {
	dctx, cancel := context.WithTimeoutCause(ctx, c.cfg.RequestTimeout, errDeadline)
	defer cancel()
	type answer struct {
		resp  kmsg.Response
		err   error
		other *other // nil: kgo's choice
	}
	answers := make(chan answer)
	ask := func(other *other) {
		own := *req // kgo writes the version into it
		var a answer
		if a.other = other; other == nil {
			a.resp, a.err = c.cl.Request(dctx, R(&own))
		} else {
			a.resp, a.err = other.broker.Request(dctx, R(&own))
		}
		select {
		case answers <- a:
		case <-dctx.Done():
		}
	}
	go ask(nil)
	next := time.NewTicker(askNext)
	defer next.Stop()
	var others []*other
	for asked, begun := 1, false; ; {
		select {
		case a := <-answers:
			if asked--; a.err == nil {
				c.noteAnswer(a.other, a.resp)
				return a.resp, nil
			}
			if asked == 0 || ctx.Err() != nil {
				return nil, a.err
			}
		case <-next.C:
			if !begun {
				others, begun = c.others(), true
			}
			if len(others) > 0 {
				go ask(others[0])
				others, asked = others[1:], asked+1
			}
		case <-dctx.Done():
			return nil, context.Cause(dctx)
		}
	}
}

// other is a broker that may be asked too.
type other struct {
	id     int32 // -1: not known
	broker *kgo.Broker
}

// others are all brokers that are known, the one that answered last in front.
func (c *Cluster) others() []*other {
	c.mu.Lock()
	nodes, answered := slices.Clone(c.nodes), c.answered
	c.mu.Unlock()
	var others []*other
	if len(nodes) == 0 {
		for _, b := range c.cl.DiscoveredBrokers() {
			others = append(others, &other{-1, b})
		}
	}
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, id := range nodes {
		others = append(others, &other{id, c.cl.Broker(int(id))})
		if last := len(others) - 1; id == answered {
			others[0], others[last] = others[last], others[0]
		}
	}
	return others
}

// noteAnswer notes who has answered instead of whom kgo has asked, and which brokers there are.
func (c *Cluster) noteAnswer(from *other, resp kmsg.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != nil && from.id >= 0 {
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

// Each asks every broker, all at once and each with Config.RequestTimeout: one that stands still has an error then, and the others' answers are there. The error is that of asking which
// brokers there are, or the context's. kgo's RequestSharded waits for each broker for as long as it tries, whatever the context.
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
