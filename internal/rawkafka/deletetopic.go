package rawkafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const deleteTimeoutMillis = 30_000

// DeleteTopic deletes one incarnation of a topic: by its ID, and where the controller takes only
// names (DeleteTopics before version 6), by name, right after every broker was asked which
// incarnation has it. One that no broker has is an error for which [Unknown] is true.
func (c *Cluster) DeleteTopic(ctx context.Context, name string, id kadm.TopicID) error {
	views, err := c.Everywhere(ctx, name)
	if err != nil {
		return err
	}
	here := false
	for _, topics := range views {
		t, ok := topics[name]
		if ok && t.Err == nil && t.ID != id {
			return fmt.Errorf("rawkafka: %s is another topic now, %s: %w", name, t.ID, kerr.UnknownTopicID)
		}
		here = here || ok
	}
	if !here {
		return kerr.UnknownTopicOrPartition
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = deleteTimeoutMillis
	req.TopicNames = []string{name} // all that versions before 6 have
	rt := kmsg.NewDeleteTopicsRequestTopic()
	if rt.TopicID = id; id == (kadm.TopicID{}) {
		rt.Topic = &name
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return err
	}
	for _, rt := range resp.Topics {
		if err := kerr.ErrorForCode(rt.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}
