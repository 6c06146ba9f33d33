package instep

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A side that is down is an error, of bounded time; what there was to do is done by the next Sync.
// The caller's end comes through as it is.
func TestDown(t *testing.T) {
	for _, side := range []string{"source", "standby"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			p := fakes(t, testkafka.Options{})
			p.sides.Budget = time.Second
			v := View{Topics: []Topic{p.topic("down", "down", 1, map[string]*string{"segment.ms": ptr("9000")}, nil)}}
			p.commit(p.src, "g", "down", 1, 5)
			down := p.from
			if side == "standby" {
				down = p.to
			}
			syncers := []Syncer{NewConfigs(p.sides), NewACLs(p.sides, ""), NewQuotas(p.sides), NewGroups(GroupsConfig{Sides: p.sides, Interval: time.Second})}
			down.Stop(t, down.Brokers()[0])
			for _, s := range syncers {
				began := time.Now()
				if r, err := s.Sync(ctxOf(t), v); err == nil && len(r.Events) == 0 {
					t.Errorf("%T: nothing is said", s)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%T: %v", s, took)
				}
				stop := errors.New("enough")
				ctx, cancel := context.WithCancelCause(ctxOf(t))
				cancel(stop)
				if _, err := s.Sync(ctx, v); !errors.Is(err, stop) {
					t.Errorf("%T: %v", s, err)
				}
			}
			down.Start(t, down.Brokers()[0])
			testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
				var errs []error
				for _, s := range syncers {
					_, err := s.Sync(ctx, v)
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
			p.expect("g", "down", 5)
			if got := p.own("down")["segment.ms"]; got != "9000" {
				t.Errorf("segment.ms=%s", got)
			}
		})
	}
}

// A group that can't be read, or committed, is named, and holds no others up. A commit whose answer
// was lost is ours when it is found there.
func TestGroupFailed(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("fail", "fail", 1, nil, nil)}}
	s := NewGroups(p.eager())
	for _, g := range []string{"denied", "unanswered", "fine"} {
		p.commit(p.src, g, "fail", 1, 5)
	}
	k := testkafka.Kfake(p.to)
	failing := true
	k.ControlKey(int16(kmsg.OffsetCommit), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.OffsetCommitRequest)
		if !failing || req.Group != "denied" {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = "fail", v.Topics[0].TargetID
		rp := kmsg.NewOffsetCommitResponseTopicPartition()
		rp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	r := sync1(t, s, v)
	wantKinds(t, r, "group_failed denied")
	if r.Failed != 1 || r.Changed != 2 {
		t.Errorf("report %+v", r)
	}
	wantKinds(t, sync1(t, s, v))
	p.expect("fine", "fail", 5)
	p.expect("denied", "fail", -1)

	// The commit landed, and nobody told: as after a connection that broke.
	s.groups["unanswered"].tried, s.groups["unanswered"].triedAt = marks{{topic: "fail", offset: 8, meta: ptr("at 8")}}, time.Now()
	p.commit(p.dst, "unanswered", "fail", -1, 8)
	p.commit(p.src, "unanswered", "fail", 1, 9)
	failing = false
	wantKinds(t, sync1(t, s, v))
	p.expect("unanswered", "fail", 9)
	p.expect("denied", "fail", 5)
}

// The standby's metadata syncers name what is refused and go on.
func TestRefusedEntries(t *testing.T) {
	p := fakes(t, testkafka.Options{Secure: true})
	p.putACLs(p.sides.Source.Admin(), "source", parseACLs("GROUP a LITERAL READ", "GROUP b LITERAL READ"))
	put(t, p.sides.Source, user(ptr("a"), "producer_byte_rate", 1), user(ptr("b"), "producer_byte_rate", 1))
	k := testkafka.Kfake(p.to)
	k.ControlKey(int16(kmsg.CreateACLs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.CreateACLsResponse)
		for _, c := range kreq.(*kmsg.CreateACLsRequest).Creations {
			res := kmsg.NewCreateACLsResponseResult()
			if c.ResourceName == "a" {
				res.ErrorCode = kerr.PolicyViolation.Code
			}
			resp.Results = append(resp.Results, res)
		}
		return resp, nil, true
	})
	acls := NewACLs(p.sides, "")
	r := sync1(t, acls, View{})
	if got := kinds(r); !slices.Equal(got, []string{"acl_refused"}) || r.Failed != 1 || r.Changed != 1 {
		t.Errorf("report %+v", r)
	}
	if r := sync1(t, acls, View{}); len(r.Events) > 0 {
		t.Errorf("again: %+v", r)
	}
	k.ControlKey(int16(kmsg.AlterClientQuotas), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.AlterClientQuotasResponse)
		for _, e := range kreq.(*kmsg.AlterClientQuotasRequest).Entries {
			res := kmsg.NewAlterClientQuotasResponseEntry()
			for _, part := range e.Entity {
				res.Entity = append(res.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: part.Type, Name: part.Name})
			}
			if *e.Entity[0].Name == "a" {
				res.ErrorCode = kerr.InvalidRequest.Code
			}
			resp.Entries = append(resp.Entries, res)
		}
		return resp, nil, true
	})
	quotas := NewQuotas(p.sides)
	r = sync1(t, quotas, View{})
	if got := kinds(r); !slices.Equal(got, []string{"quota_refused", "scram_users"}) || r.Failed != 1 || r.Changed != 1 {
		t.Errorf("report %+v", r)
	}
	if r := sync1(t, quotas, View{}); len(r.Events) > 0 {
		t.Errorf("again: %+v", r)
	}
}
