package offsets_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// newReal is the shared cluster of three brokers.
func newReal(t testing.TB) *side { return newSide(t, pool.Real(t, testkafka.Options{Brokers: 3})) }

// only are the groups of one test on the shared cluster.
func only(prefix string) []string { return []string{prefix + `\..*`} }

// TestRealGroupTypes captures classic and KIP-848 groups, active and empty, and share groups; then
// sets them back.
func TestRealGroupTypes(t *testing.T) {
	s := newReal(t)
	s.topic("types", 2, 20)
	s.commit("types.classic", "types", "m", 0, 5, 6)
	s.commit("types.consumer", "types", "", 0, 5)
	s.join("types.consumer", "types", kgo.ServerSideBalancer())() // makes it one of KIP-848
	s.commit("types.consumer", "types", "x", -1, 7)
	s.commit("types.active", "types", "", -1, 8)
	leave := s.join("types.active", "types")
	s.commit("types.active848", "types", "", -1, 8)
	leave848 := s.join("types.active848", "types", kgo.ServerSideBalancer())
	shared := s.share("types.share", "types")
	defer shared()

	got := s.capture(offsets.CaptureConfig{Only: only("types")})
	for _, want := range []struct{ group, kind, state string }{
		{"types.classic", "classic", "Empty"}, {"types.consumer", "consumer", "Empty"},
		{"types.active", "classic", "Stable"}, {"types.active848", "consumer", "Stable"},
	} {
		if g := got.Lookup(want.group); g == nil || g.Type != want.kind || g.State != want.state || len(g.Offsets) == 0 || g.Offsets[0].TopicID == (offsets.TopicID{}) {
			t.Errorf("%s: %+v", want.group, g)
		}
	}
	if len(got.NotCarried) != 1 || got.NotCarried[0].Group != "types.share" {
		t.Errorf("not carried: %+v", got.NotCarried)
	}
	s.wantRefused(s.plan(offsets.PlanConfig{Groups: got}), "types.active active, types.active848 active")
	leave()
	leave848()
	for _, group := range []string{"types.classic", "types.consumer", "types.active", "types.active848"} {
		s.commit(group, "types", "later", 0, 15, 15)
	}
	later := s.capture(offsets.CaptureConfig{Only: only("types")})
	p := s.plan(offsets.PlanConfig{Groups: got})
	if n := len(p.Refused()); n != 5 || p.Refused()[0].Why != offsets.WhyRewind {
		t.Errorf("%d: %v", n, p.Refused())
	}
	_, before := s.apply(s.plan(offsets.PlanConfig{Groups: got, AllowRewind: true}))
	s.want("types.classic", "types", "0:5/-1m 1:6/-1m")
	s.want("types.consumer", "types", "0:7/-1x 1:15/0later")
	s.want("types.active848", "types", "0:8/-1 1:15/0later")
	if _, err := offsets.Rollback(t.Context(), s.cl, roundTrip(t, before), offsets.RollbackConfig{}); err != nil {
		t.Error(err)
	}
	for _, group := range []string{"types.classic", "types.consumer", "types.active", "types.active848"} {
		s.want(group, "types", "0:15/0later 1:15/0later")
	}
	if d := offsets.Diff(later, s.capture(offsets.CaptureConfig{Only: only("types")})); !d.Empty() {
		t.Error(d)
	}
}

// share makes a share group active.
func (s *side) share(group, topic string) (leave func()) {
	s.t.Helper()
	c := testkafka.Client(s.t, s.c, kgo.ShareGroup(group), kgo.ConsumeTopics(topic))
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			c.PollFetches(ctx)
		}
	}()
	testkafka.Eventually(s.t, time.Minute, func(context.Context) error {
		if got := s.capture(offsets.CaptureConfig{Only: []string{group}}); len(got.NotCarried) != 1 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	return func() { cancel(); <-done; c.Close() }
}

// TestRealBecomesActive: a group that gets members between the last look and its commit is refused
// by the broker, of either type.
func TestRealBecomesActive(t *testing.T) {
	s := newReal(t)
	s.topic("becomes", 1, 20)
	got := &offsets.Groups{}
	for _, g := range []string{"becomes.classic", "becomes.consumer", "becomes.quiet"} {
		got.Groups = append(got.Groups, offsets.Group{Group: g, Offsets: []offsets.Committed{{Topic: "becomes", Offset: 5}}})
	}
	p := s.plan(offsets.PlanConfig{Groups: got})
	var before *offsets.Before
	res, err := p.Apply(t.Context(), s.cl, offsets.ApplyConfig{Save: func(b *offsets.Before) error {
		before = b
		s.join("becomes.classic", "becomes")
		s.join("becomes.consumer", "becomes", kgo.ServerSideBalancer())
		return nil
	}})
	var r *offsets.RefusedError
	if !errors.As(err, &r) || res.Groups != 1 || refused(res.Refused) != "becomes.classic becomes/0 active, becomes.consumer becomes/0 active" {
		t.Errorf("%+v %v", res, err)
	}
	s.want("becomes.quiet", "becomes", "0:5/-1")
	if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{SkipRefused: true}); err != nil {
		t.Error(err)
	}
	if g := s.capture(offsets.CaptureConfig{Only: only("becomes")}); g.Lookup("becomes.quiet") != nil || g.Lookup("becomes.classic") == nil {
		t.Errorf("%+v", g)
	}
}

// TestRealPending: a transactional commit under way is named, neither waited for nor taken; on the
// target it is in the way.
func TestRealPending(t *testing.T) {
	s := newReal(t)
	s.topic("pending", 2, 20)
	s.commit("pending.g", "pending", "", -1, 3, 4)
	end := s.pend("pending.g", "pending", 1, 9)
	started := time.Now()
	got := s.capture(offsets.CaptureConfig{Only: only("pending")})
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	g := got.Lookup("pending.g")
	if len(g.Pending) != 1 || g.Pending[0] != (offsets.Pending{Topic: "pending", Partition: 1}) || g.Lookup("pending", 1).Offset != 4 || g.Error != "" {
		t.Errorf("%+v", g)
	}
	want := roundTrip(t, got)
	want.Groups[0].Offsets[0].Offset, want.Groups[0].Offsets[1].Offset = 5, 6
	p := s.plan(offsets.PlanConfig{Groups: want})
	if !p.Groups[0].Offsets[1].PendingAtSource {
		t.Errorf("%+v", p)
	}
	s.wantRefused(p, "pending.g pending/1 unstable")
	end()
	p = s.plan(offsets.PlanConfig{Groups: want})
	end = s.pend("pending.g", "pending", 0, 9)
	s.wantRefused(p, "pending.g pending/0 unstable")
	end()
	s.apply(p)
	s.want("pending.g", "pending", "0:5/-1 1:6/-1")
}

// pend leaves a transactional commit open, until end aborts it.
func (s *side) pend(group, topic string, partition int32, offset int64) (end func()) {
	s.t.Helper()
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = kmsg.StringPtr("txn-"+group), 60000
	var producer *kmsg.InitProducerIDResponse
	testkafka.Eventually(s.t, time.Minute, func(ctx context.Context) (err error) {
		if producer, err = init.RequestWith(ctx, s.cl); err == nil {
			err = kerr.ErrorForCode(producer.ErrorCode)
		}
		return err
	})
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = "txn-"+group, producer.ProducerID, producer.ProducerEpoch, group
	added, err := add.RequestWith(s.t.Context(), s.cl)
	s.ok(err)
	s.ok(kerr.ErrorForCode(added.ErrorCode))
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.Group, commit.ProducerID, commit.ProducerEpoch = "txn-"+group, group, producer.ProducerID, producer.ProducerEpoch
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset = partition, offset
	rt.Partitions = append(rt.Partitions, rp)
	commit.Topics = append(commit.Topics, rt)
	if id := s.capture(offsets.CaptureConfig{Only: []string{group}}).Lookup(group).Offsets[0].TopicID; id != (offsets.TopicID{}) {
		commit.Topics[0].TopicID = id
	}
	resp, err := commit.RequestWith(s.t.Context(), s.cl)
	s.ok(err)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		s.t.Fatalf("%+v", resp)
	}
	s.ok(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
	return func() {
		s.t.Helper()
		e := kmsg.NewPtrEndTxnRequest()
		e.TransactionalID, e.ProducerID, e.ProducerEpoch = "txn-"+group, producer.ProducerID, producer.ProducerEpoch
		resp, err := e.RequestWith(s.t.Context(), s.cl)
		s.ok(err)
		s.ok(kerr.ErrorForCode(resp.ErrorCode))
		testkafka.Eventually(s.t, time.Minute, func(context.Context) error {
			if p := s.capture(offsets.CaptureConfig{Only: []string{group}}).Lookup(group).Pending; len(p) > 0 {
				return fmt.Errorf("%v", p)
			}
			return nil
		})
	}
}

// TestRealRecreated: a plan made before a topic was created again is refused, as is a rollback, and
// absent offsets come and go.
func TestRealRecreated(t *testing.T) {
	s := newReal(t)
	s.topic("recreated", 1, 20)
	s.topic("stays", 1, 20)
	s.commit("recreated.g", "stays", "there", 0, 1)
	got := &offsets.Groups{Groups: []offsets.Group{{Group: "recreated.g", Offsets: []offsets.Committed{
		{Topic: "recreated", Offset: 5}, {Topic: "stays", Offset: 5},
	}}, {Group: "recreated.new", Offsets: []offsets.Committed{{Topic: "stays", Offset: 25}}}}}
	p := s.plan(offsets.PlanConfig{Groups: got})
	_, before := s.apply(p)
	s.want("recreated.new", "stays", "0:20/-1")
	if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{}); err != nil {
		t.Fatal(err)
	}
	s.want("recreated.g", "recreated", "")
	s.want("recreated.g", "stays", "0:1/0there")
	if g := s.capture(offsets.CaptureConfig{Only: only("recreated")}).Lookup("recreated.new"); g != nil {
		t.Errorf("%+v", g)
	}
	s.recreate("recreated", 20)
	s.wantRefused(p, "recreated.g recreated/0 recreated")
	_, before = s.apply(s.plan(offsets.PlanConfig{Groups: got}))
	s.recreate("recreated", 20)
	var r *offsets.RefusedError
	if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{}); !errors.As(err, &r) || !strings.HasSuffix(refused(r.Refused), "recreated/0 recreated") {
		// Or the coordinator has deleted the offset with the topic, which is as it was before.
		if err != nil || s.at("recreated.g", "recreated") != "" {
			t.Error(err)
		}
	}
}

// many makes groups of ten offsets each.
func many(prefix, topic string, n int) *offsets.Groups {
	got := &offsets.Groups{}
	for i := range n {
		g := offsets.Group{Group: fmt.Sprintf("%s.%05d", prefix, i)}
		for p := range int32(10) {
			g.Offsets = append(g.Offsets, offsets.Committed{Topic: topic, Partition: p, Offset: int64(1 + i%20), LeaderEpoch: 3})
		}
		got.Groups = append(got.Groups, g)
	}
	return got
}

func howMany(short int) int {
	if os.Getenv("KAFKADR_LONG") != "" {
		return 10000
	}
	return short
}

// TestRealManyGroups plans, applies, captures and rolls back, and says how long each took.
func TestRealManyGroups(t *testing.T) {
	s := newReal(t)
	s.topic("many", 10, 20)
	want := many("many", "many", howMany(500))
	started := time.Now()
	step := func(what string) {
		t.Logf("%d groups of 10 partitions: %s in %v", len(want.Groups), what, time.Since(started).Round(time.Millisecond))
		started = time.Now()
	}
	p := s.plan(offsets.PlanConfig{Groups: want})
	step("planned")
	res, before := s.apply(p)
	step("applied")
	if res.Groups != len(want.Groups) || res.Offsets != 10*len(want.Groups) {
		t.Errorf("%d groups, %d offsets", res.Groups, res.Offsets)
	}
	got := s.capture(offsets.CaptureConfig{Only: only("many")})
	step("captured")
	if d := offsets.Diff(want, got); !d.Empty() {
		t.Errorf("%d groups differ", len(d.Groups))
	}
	if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{}); err != nil {
		t.Error(err)
	}
	step("rolled back")
	if got := s.capture(offsets.CaptureConfig{Only: only("many")}); len(got.Groups) != 0 {
		t.Errorf("%d groups are left", len(got.Groups))
	}
}

// TestRealCoordinatorMoves kills the coordinator of a third of the groups while they are committed.
func TestRealCoordinatorMoves(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Brokers: 3})
	s := newSide(t, c)
	s.topic("moves", 10, 20)
	want := many("moves", "moves", howMany(1000))
	victim := s.coordinator("moves.00000")
	kill := make(chan struct{})
	hook := &commits{at: int64(len(want.Groups) / 10), do: func() { close(kill) }}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		<-kill
		c.Kill(t, victim)
	}()
	cl := testkafka.Client(t, c, kgo.WithHooks(hook))
	p, err := offsets.NewGroupsPlan(t.Context(), cl, offsets.PlanConfig{Groups: want})
	s.ok(err)
	var retries atomic.Int64
	started := time.Now()
	res, err := p.Apply(t.Context(), cl, offsets.ApplyConfig{
		Save: func(*offsets.Before) error { return nil }, OnRetry: func(string, error) { retries.Add(1) },
	})
	<-killed
	t.Logf("%d groups in %v, %d retries, broker %d killed: %+v", len(want.Groups), time.Since(started).Round(time.Millisecond), retries.Load(), victim, res)
	if err != nil || len(res.Refused) > 0 || res.Offsets+res.Kept != 10*len(want.Groups) {
		t.Fatal(err)
	}
	got := s.capture(offsets.CaptureConfig{Only: only("moves")})
	if d := offsets.Diff(want, got); !d.Empty() {
		t.Errorf("%d groups differ", len(d.Groups))
	}
	for _, g := range got.Groups {
		if g.Error != "" {
			t.Errorf("%s: %s", g.Group, g.Error)
		}
	}
	if now := s.coordinator("moves.00000"); now == victim {
		t.Error("the coordinator is where it was")
	}
}

func (s *side) coordinator(group string) int32 {
	s.t.Helper()
	var at int32
	testkafka.Eventually(s.t, time.Minute, func(ctx context.Context) error {
		got := s.adm.FindGroupCoordinators(ctx, group)
		at = got[group].NodeID
		return errors.Join(got.Error(), got[group].Err)
	})
	return at
}

// commits calls do at the so-manieth commit.
type commits struct {
	n, at int64
	do    func()
}

func (h *commits) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == int16(kmsg.OffsetCommit) && atomic.AddInt64(&h.n, 1) == h.at {
		h.do()
	}
}
