package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func values(rs []*kgo.Record) (vs []string) {
	for _, r := range rs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

// pollsUpTo polls until a number of records, or until nothing has come for a while.
func (s *sim) pollsUpTo(c Kafka, n int) (rs []*kgo.Record) {
	for len(rs) < n {
		ctx, cancel := context.WithTimeout(s.Context(), 15*time.Second)
		got := c.PollRecords(ctx, n-len(rs)).Records()
		ended := ctx.Err() != nil
		cancel()
		if rs = append(rs, got...); ended {
			return rs
		}
	}
	return rs
}

// at is a record of a partition.
func at(p int32, value string) *kgo.Record {
	return &kgo.Record{Topic: simTopic, Partition: p, Value: []byte(value)}
}

// TestClientDirectConsumer has a consumer without a group go through a switch of each kind: it goes
// on where it was, or at the fork where that lies before; nothing comes twice, nothing is skipped,
// in whatever way it was said what is consumed.
func TestClientDirectConsumer(t *testing.T) {
	start, end := kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd())
	both := func(o kgo.Offset) kgo.Opt {
		return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{simTopic: {0: o, 1: o}})
	}
	ways := map[string][]kgo.Opt{
		"topics": {kgo.ConsumeTopics(simTopic), start}, "from the end": {kgo.ConsumeTopics(simTopic), end},
		"partitions": {both(kgo.NewOffset().AtStart())}, "partitions from the end": {both(kgo.NewOffset().AtEnd())},
		"expressions": {kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+simTopic+"$", "^x"), kgo.ConsumeExcludeTopics("^xy"), start},
	}
	for name, opts := range ways {
		fromEnd := name == "from the end" || name == "partitions from the end"
		for _, how := range []string{"killed", "killed behind", "switchover", "given up"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				bubble(t, func(s *sim) { s.direct(how, fromEnd, append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))) })
			})
		}
	}
}

func (s *sim) direct(how string, fromEnd bool, opts []kgo.Opt) {
	s.Helper()
	old := testkafka.Client(s.T, s.a, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for n := range 5 {
		if err := old.ProduceSync(s.Context(), at(0, fmt.Sprint("old", n))).FirstErr(); err != nil {
			s.Fatal(err)
		}
	}
	c := s.client(nil, opts...)
	pause(s.Context(), 3*time.Second)
	var want []string
	if !fromEnd {
		want = []string{"old0", "old1", "old2", "old3", "old4"}
	}
	for n := range 10 {
		s.produce(c, fmt.Sprint(n))
		want = append(want, fmt.Sprint(n))
	}
	most := map[string]int{"killed": 13, "killed behind": 10, "switchover": 100, "given up": 100}[how] // of 15
	cp := startCopy(s.T, s.a, s.b, most, func() time.Duration { return 0 })
	seen := len(want) - 4 // six of ten
	got := values(s.pollsUpTo(c, seen))
	if err := old.ProduceSync(s.Context(), at(1, "idle")).FirstErr(); err != nil { // where nothing was polled yet
		s.Fatal(err)
	}
	pause(s.Context(), 10*time.Second)
	cluster := "b"
	switch how {
	case "killed":
		s.a.Kill(s.T, 0)
		s.forced(c, cp)
		want = want[:len(want)-2] // the copy hasn't got those
	case "killed behind":
		s.a.Kill(s.T, 0)
		s.forced(c, cp)
		want = want[:seen] // it ends before what was polled
	case "switchover":
		s.planned(c, cp, "a", "b")
		want = append(want, "idle")
	case "given up":
		cluster = "a"
		s.closes("a", "b", true)
		pause(s.Context(), 11*time.Second)
		cp.end()
		s.opens("a", "a", "b", true)
		s.arrives(c, "a", 3)
		want = append(want, "idle")
	}
	for n := range 3 {
		s.produce(c, fmt.Sprint(cluster, n))
		want = append(want, fmt.Sprint(cluster, n))
	}
	got = append(got, values(s.pollsUpTo(c, len(want)-seen+1))...)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.Errorf("%v,\nwant %v", got, want)
	}
	c.Close()
}

// TestClientDirectThroughTwoSwitches goes there and back: a position counts in the log of the
// cluster that it was noted on, and in each that has the same records.
func TestClientDirectThroughTwoSwitches(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil, kgo.ConsumeTopics(simTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		var want []string
		produce := func(of string) {
			for n := range 4 {
				s.produce(c, fmt.Sprint(of, n))
				want = append(want, fmt.Sprint(of, n))
			}
		}
		cp := startCopy(s.T, s.a, s.b, 100, s.pace())
		produce("a")
		got := values(s.pollsUpTo(c, 2))
		s.planned(c, cp, "a", "b")
		cp = startCopy(s.T, s.b, s.a, 100, s.pace())
		produce("b")
		s.planned(c, cp, "b", "a") // nothing was polled on b
		produce("c")
		if got = append(got, values(s.pollsUpTo(c, 11))...); !slices.Equal(got, want) {
			s.Errorf("%v, want %v", got, want)
		}
	})
}

// second is another topic on both clusters.
func (s *sim) second(name string) {
	s.Helper()
	for _, cl := range []testkafka.Cluster{s.a, s.b} {
		if _, err := kadm.NewClient(testkafka.Client(s.T, cl)).CreateTopic(s.Context(), 1, 1, nil, name); err != nil {
			s.Fatal(err)
		}
	}
}

// TestClientSubscriptionKept changes what is consumed, before a switch and while one is under way:
// it holds on the cluster that becomes active, with a group and without one, however the switch
// ends.
func TestClientSubscriptionKept(t *testing.T) {
	for _, group := range []bool{true, false} {
		for _, how := range []string{"killed", "switchover", "given up"} {
			t.Run(fmt.Sprintf("group %v/%s", group, how), func(t *testing.T) {
				bubble(t, func(s *sim) {
					s.second("u")
					s.second("v")
					s.second("w")
					opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumeTopics(simTopic, "w")}
					if group {
						opts = append(opts, kgo.ConsumerGroup("g"), kgo.DisableAutoCommit())
					}
					s.keepsSubscription(s.client(nil, opts...), how)
				})
			})
		}
	}
}

func (s *sim) keepsSubscription(c *Client, how string) {
	s.Helper()
	pause(s.Context(), 5*time.Second)
	c.AddConsumeTopics("u")
	c.PurgeTopicsFromConsuming("w")
	c.PauseFetchPartitions(map[string][]int32{simTopic: {1}})
	pause(s.Context(), 5*time.Second)
	cluster := "b"
	switch how {
	case "killed":
		s.a.Kill(s.T, 0)
		s.closes("a", "b", false)
	case "switchover":
		s.closes("a", "b", true)
	case "given up":
		s.closes("a", "b", true)
		cluster = "a"
	}
	pause(s.Context(), 11*time.Second)
	c.AddConsumeTopics("v")
	c.PauseFetchTopics("u")
	if got, want := sorted(c.GetConsumeTopics()), []string{simTopic, "u", "v"}; !slices.Equal(got, want) {
		s.Errorf("in the switch: %v, want %v", got, want)
	}
	s.opens(cluster, "a", "b", how == "switchover")
	s.arrives(c, cluster, 3)
	for _, r := range []*kgo.Record{at(0, "0"), at(1, "1"), {Topic: "u", Value: []byte("u")}, {Topic: "v", Value: []byte("v")}, {Topic: "w", Value: []byte("w")}} {
		if err := c.ProduceSync(s.Context(), r).FirstErr(); err != nil {
			s.Fatal(err)
		}
	}
	if got, want := sorted(values(s.pollsUpTo(c, 5))), []string{"0", "v"}; !slices.Equal(got, want) {
		s.Errorf("polled %v, want %v", got, want)
	}
	if got := c.PauseFetchTopics(); !slices.Equal(got, []string{"u"}) {
		s.Errorf("paused: %v", got)
	}
	c.ResumeFetchTopics("u")
	c.ResumeFetchPartitions(map[string][]int32{simTopic: {1}})
	if got, want := sorted(values(s.pollsUpTo(c, 3))), []string{"1", "u"}; !slices.Equal(got, want) {
		s.Errorf("resumed: %v, want %v", got, want)
	}
	c.Close()
	if got := c.PauseFetchTopics(); len(got) > 0 {
		s.Errorf("after Close: %v", got)
	}
}

func sorted(vs []string) []string {
	slices.Sort(vs)
	return vs
}

// TestClientSetsOffsets sets offsets before and after a switch: they are never ahead of what both
// clusters have.
func TestClientSetsOffsets(t *testing.T) {
	for _, group := range []bool{true, false} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) {
			bubble(t, func(s *sim) {
				opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumeTopics(simTopic)}
				if group {
					opts = append(opts, kgo.ConsumerGroup("g"), kgo.DisableAutoCommit())
				}
				var old []*kgo.Record
				c := s.client(func(cfg *Config) { cfg.Hooks.OnOldRecords = func(rs []*kgo.Record) { old = append(old, rs...) } }, opts...)
				for n := range 10 {
					s.produce(c, fmt.Sprint(n))
				}
				s.polls(c, 10)
				set := func(o int64) {
					c.SetOffsets(map[string]map[int32]kgo.EpochOffset{simTopic: {0: {Epoch: -1, Offset: o}}})
				}
				set(4)
				if got, want := values(s.pollsUpTo(c, 6)), []string{"4", "5", "6", "7", "8", "9"}; !slices.Equal(got, want) {
					s.Errorf("%v, want %v", got, want)
				}
				set(2)
				cp := startCopy(s.T, s.a, s.b, 8, func() time.Duration { return 0 })
				pause(s.Context(), 10*time.Second)
				if group {
					if err := c.CommitRecords(s.Context(), at(0, "")); err != nil {
						s.Error(err)
					}
				}
				s.a.Kill(s.T, 0)
				s.forced(c, cp)
				first := map[bool]string{true: "0", false: "2"}[group] // its group has committed nothing on b
				rs := s.pollsUpTo(c, 3)
				if len(rs) == 0 || string(rs[0].Value) != first {
					s.Errorf("goes on with %v, want %s", values(rs), first)
				}
				set(9)
				if len(old) != 1 || old[0].Offset != 8 {
					s.Errorf("set ahead of the fork: %v", old)
				}
				set(7)
				if got, want := values(s.pollsUpTo(c, 1)), []string{"7"}; !slices.Equal(got, want) {
					s.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

// TestClientCommitsOffsets commits offsets without records before and after a switch, in kgo's way:
// never ahead.
func TestClientCommitsOffsets(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil, consumer(nil, kgo.DisableAutoCommit())...)
		for n := range 10 {
			s.produce(c, fmt.Sprint(n))
		}
		s.polls(c, 10)
		commit := func(o int64) error {
			var got error
			c.CommitOffsetsSync(s.Context(), map[string]map[int32]kgo.EpochOffset{simTopic: {0: {Epoch: -1, Offset: o}}}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) { got = err })
			return got
		}
		if err := commit(5); err != nil || s.groupAt(s.a) != 5 {
			s.Errorf("%v, committed %d", err, s.groupAt(s.a))
		}
		if got := c.CommittedOffsets()[simTopic][0].Offset; got != 5 {
			s.Errorf("committed %d", got)
		}
		if got := c.UncommittedOffsets()[simTopic][0].Offset; got != 10 {
			s.Errorf("uncommitted %d", got)
		}
		cp := startCopy(s.T, s.a, s.b, 8, func() time.Duration { return 0 })
		pause(s.Context(), 10*time.Second)
		s.forced(c, cp)
		var beyond *OldEpochError
		if err := commit(9); !errors.As(err, &beyond) || len(beyond.Records) != 1 {
			s.Errorf("beyond the fork: %v", err)
		}
		if err := commit(8); err != nil || s.groupAt(s.b) != 8 {
			s.Errorf("at the fork: %v, committed %d", err, s.groupAt(s.b))
		}
		if err := commit(6); err != nil || s.groupAt(s.b) != 8 { // carried over, and so never back
			s.Errorf("back: %v, committed %d", err, s.groupAt(s.b))
		}
		s.produce(c, "b")
		s.polls(c, 1)
		done := make(chan error, 1)
		c.CommitOffsets(s.Context(), map[string]map[int32]kgo.EpochOffset{simTopic: {0: {Epoch: -1, Offset: 7}}}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) { done <- err })
		if err := <-done; err != nil || s.groupAt(s.b) != 7 {
			s.Errorf("%v, committed %d", err, s.groupAt(s.b))
		}
	})
}

// TestClientLeavesGroup leaves the group for good: it isn't joined on the next cluster, and leaving
// waits no longer than the lease for a callback.
func TestClientLeavesGroup(t *testing.T) {
	bubble(t, func(s *sim) {
		block := make(chan struct{})
		c := s.client(nil, consumer(func(map[string][]int32) { <-block }, kgo.DisableAutoCommit())...)
		s.produce(c, "x")
		s.polls(c, 1)
		if id, _ := c.GroupMetadata(); id == "" {
			s.Error("no member")
		}
		c.ForceRebalance()
		s.closes("a", "b", false)
		begun := time.Now()
		c.LeaveGroup()
		if d := time.Since(begun); d > c.cfg.Lease {
			s.Errorf("left after %v", d)
		}
		close(block)
		pause(s.Context(), 11*time.Second)
		s.opens("b", "a", "b", false)
		s.arrives(c, "b", 3)
		s.produce(c, "y")
		if got := s.pollsUpTo(c, 1); len(got) > 0 {
			s.Errorf("polled %v", values(got))
		}
		if id, _ := c.GroupMetadata(); id != "" {
			s.Errorf("%q is a member", id)
		}
	})
}

// TestClientDirectDenied: a poll says that a topic may not be read, as kgo's does, though it waits
// already; the other topics are consumed, and that one when it may be.
func TestClientDirectDenied(t *testing.T) {
	for _, plain := range []bool{true, false} {
		bubble(t, func(s *sim) {
			var may atomic.Bool
			secret := "secret"
			kfaked := testkafka.Kfake(s.a)
			kfaked.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				kfaked.KeepControl()
				m := req.(*kmsg.MetadataRequest)
				at := slices.IndexFunc(m.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.Topic != nil && *t.Topic == secret })
				if at < 0 || may.Load() {
					return nil, nil, false
				}
				resp := m.ResponseKind().(*kmsg.MetadataResponse)
				id, b := s.a.ID(), kmsg.NewMetadataResponseBroker()
				host, port, err := net.SplitHostPort(kfaked.ListenAddrs()[0])
				n, aerr := strconv.Atoi(port)
				if err != nil || aerr != nil {
					return nil, errors.Join(err, aerr), true
				}
				b.Host, b.Port = host, int32(n)
				resp.ClusterID, resp.Brokers = &id, append(resp.Brokers, b)
				for _, t := range m.Topics {
					rt := kmsg.NewMetadataResponseTopic()
					if rt.Topic = t.Topic; *t.Topic == secret {
						rt.ErrorCode = kerr.TopicAuthorizationFailed.Code
					} else {
						rt.Partitions = append(rt.Partitions, kmsg.NewMetadataResponseTopicPartition())
					}
					resp.Topics = append(resp.Topics, rt)
				}
				return resp, nil, true
			})
			opts := []kgo.Opt{kgo.ConsumeTopics(secret), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
			var c Kafka
			if plain {
				cl, err := kgo.NewClient(append(s.opts("a"), opts...)...)
				if err != nil {
					s.Fatal(err)
				}
				c = cl
			} else {
				c = s.client(nil, append(opts, kgo.ConsumeTopics(secret, simTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
			defer cancel()
			if err := c.PollFetches(ctx).Err(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
				s.Errorf("plain %v: %v", plain, err)
			}
			if !plain {
				s.produce(c.(*Client), "other")
				if got := values(s.pollsUpTo(c, 1)); !slices.Equal(got, []string{"other"}) {
					s.Errorf("of the other topic: %q", got)
				}
			}
			may.Store(true)
			testkafka.Create(s.T, s.a, 1, 1, nil, secret)
			if err := testkafka.Client(s.T, s.a).ProduceSync(ctx, &kgo.Record{Topic: secret, Value: []byte("x")}).FirstErr(); err != nil {
				s.Fatal(err)
			}
			for n := 0; n == 0 && ctx.Err() == nil; {
				n = c.PollFetches(ctx).NumRecords()
			}
			if ctx.Err() != nil {
				s.Errorf("plain %v: nothing came", plain)
			}
		})
	}
}
