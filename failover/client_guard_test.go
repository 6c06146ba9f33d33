package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestChanges: every request whose name says that it changes something is one that does, and so is
// one that nobody knows.
func TestChanges(t *testing.T) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		name := kmsg.NameForKey(key)
		says := false
		for _, verb := range []string{"Alter", "Create", "Delete", "Write", "Expire", "Renew", "Elect", "Add", "End", "Init", "Update", "Remove", "Unregister", "Commit", "Produce", "Acknowledge", "Assign"} {
			says = says || strings.Contains(name, verb)
		}
		if name == "DescribeProducers" || name == "InitProducerID" {
			says = false
		}
		if says && !changes(key) {
			t.Errorf("%s, %d", name, key)
		}
	}
	if !changes(kmsg.MaxKey+1) || !changes(-1) || changes(int16(kmsg.Fetch)) {
		t.Error("a request that isn't known, or a fetch")
	}
}

// TestClientDoFenced: what changes the cluster isn't sent outside the lease, through Do either;
// what reads is.
func TestClientDoFenced(t *testing.T) {
	s := newStage(t)
	reg := &outage{Register: s.reg}
	c := s.client(func(cfg *Config) { cfg.Register, cfg.Lease, cfg.Poll = reg, time.Second, 20*time.Millisecond })
	reg.set(true)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if st := c.Status(); st.State != ClientFenced {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	err := c.Do(s.Context(), func(ctx context.Context, cl *kgo.Client) error {
		adm := kadm.NewClient(cl)
		if _, err := adm.ListTopics(ctx); err != nil {
			t.Errorf("a read: %v", err)
		}
		_, err := adm.CreateTopic(ctx, 1, 1, nil, "made-outside-the-lease")
		return err
	})
	if !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	there, err := kadm.NewClient(testkafka.Client(t, s.a)).ListTopics(s.Context())
	if err != nil || there.Has("made-outside-the-lease") {
		t.Error(there, err)
	}
}
