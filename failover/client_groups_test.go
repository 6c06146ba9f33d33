package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClientGroupKinds has a member of each kind of group go through each kind of switch, and a
// close: its commits are made where it was, on the next cluster it consumes what it hasn't
// committed there, and closing it doesn't take longer than the lease.
func TestClientGroupKinds(t *testing.T) {
	kinds := map[string][]kgo.Opt{
		"static":                    {kgo.ConsumeTopics(simTopic), kgo.InstanceID("i")},
		"cooperative":               {kgo.ConsumeTopics(simTopic), kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"eager":                     {kgo.ConsumeTopics(simTopic), kgo.Balancers(kgo.RangeBalancer())},
		"consumer":                  {kgo.ConsumeTopics(simTopic), kgo.GroupProtocol("consumer")},
		"expressions":               {kgo.ConsumeTopics("^" + simTopic + "$"), kgo.ConsumeRegex()},
		"consumer with expressions": {kgo.ConsumeTopics("^" + simTopic + "$"), kgo.ConsumeRegex(), kgo.GroupProtocol("consumer")},
	}
	for kind, opts := range kinds {
		for _, how := range []string{"killed", "switchover", "given up", "closed"} {
			t.Run(kind+"/"+how, func(t *testing.T) {
				bubble(t, func(s *sim) { s.groupThrough(how, opts) })
			})
		}
	}
}

func (s *sim) groupThrough(how string, opts []kgo.Opt) {
	s.Helper()
	var c *Client
	revoked := func(ctx context.Context, _ *kgo.Client, _ map[string][]int32) { _ = c.CommitUncommittedOffsets(ctx) }
	c = s.client(nil, append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsRevoked(revoked))...)
	for n := range 10 {
		s.produce(c, fmt.Sprint(n))
	}
	s.polls(c, 10)
	cp := startCopy(s.T, s.a, s.b, 10, func() time.Duration { return 0 })
	pause(s.Context(), 5*time.Second)
	cluster, was := s.b, int64(10)
	switch how {
	case "killed":
		was = -1
		s.a.Kill(s.T, 0)
		s.forced(c, cp)
	case "switchover":
		s.planned(c, cp, "a", "b")
	case "given up":
		cluster = s.a
		s.closes("a", "b", true)
		pause(s.Context(), 11*time.Second)
		cp.end()
		s.opens("a", "a", "b", true)
		s.arrives(c, "a", 3)
	}
	if how != "closed" {
		s.produce(c, "next")
		want := 11
		if how == "given up" {
			want = 1 // what was committed when the member left isn't consumed again
		}
		if rs := s.pollsUpTo(c, want+1); len(rs) != want || string(rs[len(rs)-1].Value) != "next" {
			s.Errorf("%d records, want %d: %v", len(rs), want, values(rs))
		}
		if err := c.CommitUncommittedOffsets(s.Context()); err != nil {
			s.Error(err)
		}
		if got := s.groupAt(cluster); got != 11 {
			s.Errorf("committed %d, want 11", got)
		}
	}
	begun := time.Now()
	c.Close()
	if d := time.Since(begun); d > c.cfg.Lease {
		s.Errorf("closed after %v", d)
	}
	if how == "killed" {
		return
	}
	if got := s.groupAt(s.a); got < was {
		s.Errorf("committed %d on a, want %d", got, was)
	}
}
