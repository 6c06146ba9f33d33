package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// wide gives both clusters of a simulation a topic of n partitions.
func (s *sim) wide(n int) string {
	s.Helper()
	const topic = "wide"
	for _, cl := range []testkafka.Cluster{s.a, s.b} {
		if _, err := kadm.NewClient(testkafka.Client(s.T, cl)).CreateTopic(s.Context(), int32(n), 1, nil, topic); err != nil {
			s.Fatal(err)
		}
	}
	return topic
}

// doubtful has a client get an ack for one record of each partition, which is copied, and none for
// the next one, which isn't. Then b becomes active. The errors of the latter come as they are
// answered.
func (s *sim) doubtful(c *Client, topic string, n int) <-chan error {
	s.Helper()
	out := testkafka.Client(s.T, s.b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var first []*kgo.Record
	for p := range n {
		first = append(first, &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("first")})
	}
	if err := c.ProduceSync(s.Context(), first...).FirstErr(); err != nil {
		s.Fatal(err)
	}
	copies := make([]*kgo.Record, n)
	for p, r := range first {
		copies[p] = &kgo.Record{Topic: topic, Partition: r.Partition, Value: []byte("first"), Timestamp: r.Timestamp}
	}
	if err := out.ProduceSync(s.Context(), copies...).FirstErr(); err != nil {
		s.Fatal(err)
	}
	s.deaf.Store(true)
	done := make(chan error, n)
	for p := range n {
		c.Produce(s.Context(), &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("second")}, func(_ *kgo.Record, err error) { done <- err })
	}
	pause(s.Context(), time.Second)
	s.closes("a", "b", false)
	pause(s.Context(), 11*time.Second)
	e := register.Epoch{Active: "b", From: "a", Target: "b", Switch: "ab", By: "test"}
	for p := range n {
		e.Forks = append(e.Forks, register.Fork{Topic: topic, Partition: int32(p), Offset: 2}) // one record is another producer's
		if err := out.ProduceSync(s.Context(), &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("other")}).FirstErr(); err != nil {
			s.Fatal(err)
		}
	}
	s.advance(e)
	return done
}

// farConn takes 20 ms to send anything.
type farConn struct{ net.Conn }

func (c farConn) Write(p []byte) (int, error) {
	pause(context.Background(), 20*time.Millisecond)
	return c.Conn.Write(p)
}

// TestClientSearchesManyPartitions has records in doubt in a thousand partitions, and the active
// cluster 20 ms away: it is asked by the broker, not by the partition.
func TestClientSearchesManyPartitions(t *testing.T) {
	bubble(t, func(s *sim) {
		n := 1000
		topic := s.wide(n)
		far := func(ctx context.Context, network, host string) (net.Conn, error) {
			c, err := s.nets["b"].DialContext(ctx, network, host)
			return farConn{c}, err
		}
		cfg := Config{
			Clusters: []Cluster{{Name: "a", Opts: s.opts("a")}, {Name: "b", Opts: append(s.b.Opts(), kgo.Dialer(far))}},
			Register: s.reg, Opts: []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, tuning: clientTuning{clock: lease.Go},
		}
		begin(s, cfg)
		c, err := NewClient(s.Context(), cfg)
		if err != nil {
			s.Fatal(err)
		}
		defer c.Close()
		done := s.doubtful(c, topic, n)
		s.arrives(c, "b", 3)
		for range n {
			if err := <-done; err != nil {
				s.Fatal(err)
			}
		}
		last := c.Status().Last
		if d := last.Ready.Sub(last.Opened); d > time.Second || last.InDoubt != int64(n) || last.Resent != int64(n) || last.Unsearched != 0 {
			s.Errorf("ready %v after b became active: %v", d, last)
		}
	})
}

// TestClientSearchesPastOffline has a partition of the active cluster have no leader: its record
// follows the policy, named, and the other partitions' go on.
func TestClientSearchesPastOffline(t *testing.T) {
	for policy, want := range map[InDoubtPolicy]error{Resend: nil, Drop: ErrInDoubt} {
		t.Run(string(policy), func(t *testing.T) {
			bubble(t, func(s *sim) {
				topic := s.wide(2)
				c := s.client(func(cfg *Config) { cfg.InDoubt = policy }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
				offline(s.b, 1)
				done := s.doubtful(c, topic, 2)
				s.arrives(c, "b", 3)
				last := c.Status().Last
				if d := last.Ready.Sub(last.Opened); d > 10*time.Second {
					s.Errorf("ready %v after b became active", d)
				}
				if last.Unsearched != 1 || len(last.UnsearchedPartitions) != 1 || !strings.Contains(last.UnsearchedPartitions[0], "wide/1: LEADER_NOT_AVAILABLE") {
					s.Errorf("%d unsearched, of %q", last.Unsearched, last.UnsearchedPartitions)
				}
				for range 2 {
					if err := <-done; !errors.Is(err, want) {
						s.Errorf("got %v, want %v", err, want)
					}
				}
			})
		})
	}
}

// offline has a cluster say that a partition has no leader, where its offsets are asked for.
func offline(cl testkafka.Cluster, partition int32) {
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				if sp.Partition, sp.Offset = rp.Partition, 2; rp.Timestamp != -1 {
					sp.Offset = 0
				}
				if rp.Partition == partition {
					sp.Offset, sp.ErrorCode = -1, kerr.LeaderNotAvailable.Code
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
}

// TestClientSearchesWithoutRead has an application that may write and describe, as most producers:
// what can't be looked for follows the policy, and it goes on at once.
func TestClientSearchesWithoutRead(t *testing.T) {
	for _, read := range []bool{true, false} {
		t.Run(fmt.Sprint("read ", read), func(t *testing.T) {
			ops := []kadm.ACLOperation{kadm.OpWrite, kadm.OpDescribe}
			if read {
				ops = append(ops, kadm.OpRead)
			}
			var clusters []Cluster
			var secured []testkafka.Secured
			for _, name := range []string{"a", "b"} {
				cl := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
				if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
					t.Fatal(err)
				}
				cl.CreateUser(t, "app", "secret-app")
				testkafka.Allow(t, cl, "app", kadm.NewACLs().Topics("orders").Operations(ops...))
				clusters = append(clusters, Cluster{Name: name, Opts: cl.UserOpts("app", "secret-app")})
				secured = append(secured, cl)
			}
			others := testkafka.Client(t, secured[1])
			for range 5 {
				if err := others.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("other")}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			reg := register.NewMemory()
			switched := make(chan ClientReport, 1)
			cfg := Config{
				Clusters: clusters, Register: reg, Lease: time.Second, Poll: 20 * time.Millisecond,
				Hooks: Hooks{OnSwitch: func(r ClientReport) { switched <- r }},
			}
			begin(t, cfg)
			c, err := NewClient(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("1")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			sent := make(chan struct{}, 100)
			testkafka.Kfake(secured[0]).ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				testkafka.Kfake(secured[0]).KeepControl()
				sent <- struct{}{}
				return nil, errors.New("cut"), true // sent, and never acked
			})
			done := make(chan error, 1)
			c.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("2")}, func(_ *kgo.Record, err error) { done <- err })
			<-sent
			last, err := register.Latest(t.Context(), reg, "default")
			if err != nil {
				t.Fatal(err)
			}
			next := register.Epoch{From: "a", Target: "b", Switch: "s", By: "test"}
			if last, err = register.Advance(t.Context(), reg, last, next); err != nil {
				t.Fatal(err)
			}
			next.Active, next.Forks = "b", []register.Fork{{Topic: "orders", Offset: 5}}
			if _, err = register.Advance(t.Context(), reg, last, next); err != nil {
				t.Fatal(err)
			}
			r := <-switched
			if err := <-done; err != nil {
				t.Error(err)
			}
			want := int64(1)
			if read {
				want = 0
			}
			if r.InDoubt != 1 || r.Resent != 1 || r.Unsearched != want || !read && !strings.Contains(strings.Join(r.UnsearchedPartitions, " "), "orders/0: TOPIC_AUTHORIZATION_FAILED") {
				t.Errorf("%v", r)
			}
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("3")}).FirstErr(); err != nil {
				t.Error(err)
			}
		})
	}
}
