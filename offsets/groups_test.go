package offsets_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

var pool testkafka.Pool

func TestMain(m *testing.M) { os.Exit(pool.Run(m.Run)) }

// TestGroupsRoundTrip captures, plans, applies and rolls back, all by way of JSON.
func TestGroupsRoundTrip(t *testing.T) {
	from, to := newFake(t), newFake(t)
	from.topic("t", 3, 10)
	to.topic("t", 3, 10)
	from.commit("g", "t", "m", 0, 3, 10)
	from.commit("new", "t", "", -1, 1, 2, 3)
	from.commit("same", "t", "x", -1, 4)
	to.commit("g", "t", "old", 0, 2)
	to.commit("same", "t", "x", -1, 4)

	got := roundTrip(t, from.capture(offsets.CaptureConfig{Exclude: []string{"none"}}))
	p := roundTrip(t, to.plan(offsets.PlanConfig{Groups: got}))
	if len(p.Refused()) > 0 || p.ClusterID != to.c.ID() || p.SourceClusterID != from.c.ID() {
		t.Fatal(p)
	}
	text := p.String()
	for _, want := range []string{"commit t/0 at 3, now 2", "commit t/1 at 10\n", "3 groups: 5 offsets to commit, 0 of them clamped, 1 committed already, 0 left, 0 refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	res, before := to.apply(p)
	if res.Groups != 2 || res.Offsets != 5 || res.Kept != 1 {
		t.Errorf("%+v", res)
	}
	to.want("g", "t", "0:3/-1m 1:10/-1m")
	to.want("new", "t", "0:1/-1 1:2/-1 2:3/-1")
	if d := offsets.Diff(got, to.capture(offsets.CaptureConfig{})); !d.Empty() {
		t.Error(d)
	}
	if res, none := to.apply(p); res.Offsets != 0 || res.Kept != 6 || none != nil {
		t.Errorf("again: %+v %v", res, none)
	}
	for _, changed := range []int{2, 0} { // and again
		res, err := offsets.Rollback(t.Context(), to.cl, roundTrip(t, before), offsets.RollbackConfig{})
		if err != nil || res.Groups != changed {
			t.Errorf("rollback: %+v %v", res, err)
		}
		to.want("g", "t", "0:2/0old")
		if to.capture(offsets.CaptureConfig{}).Lookup("new") != nil {
			t.Error("the group that wasn't there is still there")
		}
	}
}

// TestPlanRefuses: what is in the way is named, and nothing is committed.
func TestPlanRefuses(t *testing.T) {
	from, to := newFake(t), newFake(t)
	for _, s := range []*side{from, to} {
		s.topic("t", 2, 10)
	}
	from.topic("gone", 1, 5)
	from.commit("ahead", "t", "", -1, 5, 5)
	from.commit("active", "t", "", -1, 5)
	from.commit("lost", "gone", "", -1, 5)
	from.commit("odd", "t", "", -1, 7)
	from.commit("left", "t", "", -1, 7)
	to.commit("ahead", "t", "", -1, 6, 4)
	defer to.join("active", "t")()
	got := from.capture(offsets.CaptureConfig{})
	got.Groups = append(got.Groups,
		offsets.Group{Group: "unread", Error: "denied"}, offsets.Group{Group: "vanished", AbsentSince: got.At, Offsets: got.Lookup("left").Offsets})
	p := to.plan(offsets.PlanConfig{Groups: got, Translate: func(ctx context.Context, c offsets.Committed) (offsets.Translated, error) {
		switch {
		case c.Offset == 7 && c.Partition == 0:
			return offsets.Translated{How: offsets.HowUnknown, Offset: -1, Evidence: "no map"}, nil
		case c.Topic == "gone":
			return offsets.Translated{Topic: "nowhere", Offset: 5, How: offsets.HowExact}, nil
		}
		return offsets.Exact{}.Translate(ctx, c.Topic, c.Partition, c.Offset)
	}})
	want := "active active, ahead t/0 rewind, left t/0 unresolved, lost nowhere/0 unknown_topic, odd t/0 unresolved, unread unread"
	if got := refused(p.Refused()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	to.wantRefused(p, want)
	res, err := p.Apply(t.Context(), to.cl, offsets.ApplyConfig{SkipRefused: true, Save: func(*offsets.Before) error { return nil }})
	if err != nil || refused(res.Refused) != want || res.Offsets != 1 {
		t.Errorf("%+v %v", res, err)
	}
	to.want("ahead", "t", "0:6/-1 1:5/-1")
	to.want("vanished", "t", "")

	p = to.plan(offsets.PlanConfig{Groups: got, Only: []string{"ahead", "vanished"}, AllowRewind: true, RestoreAbsent: true})
	to.apply(p)
	to.want("ahead", "t", "0:5/-1 1:5/-1")
	to.want("vanished", "t", "0:7/-1")
}

// TestGroupsDead: a group that a coordinator calls dead has no members: its offsets are captured,
// and it is in nobody's way on the target.
func TestGroupsDead(t *testing.T) {
	from, to := newFake(t), newFake(t)
	for _, s := range []*side{from, to} {
		s.topic("t", 1, 10)
		k := testkafka.Kfake(s.c)
		k.ControlKey(int16(kmsg.ListGroups), func(req kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupState, g.GroupType = "dead", "consumer", "Dead", "classic"
			resp.Groups = append(resp.Groups, g)
			return resp, nil, true
		})
	}
	if g := from.capture(offsets.CaptureConfig{}).Lookup("dead"); g != nil && (g.Active() || len(g.Offsets) > 0) {
		t.Errorf("without offsets: %+v", g)
	}
	from.commit("dead", "t", "kept", -1, 5)
	got := from.capture(offsets.CaptureConfig{})
	g := got.Lookup("dead")
	if g == nil || g.State != "Dead" || g.Active() || len(g.Offsets) != 1 || g.Offsets[0].Offset != 5 || g.Offsets[0].Metadata == nil || *g.Offsets[0].Metadata != "kept" {
		t.Fatalf("%+v", g)
	}
	p := to.plan(offsets.PlanConfig{Groups: got})
	if p.Groups[0].State != "Dead" || len(p.Refused()) > 0 {
		t.Errorf("%+v", p.Groups[0])
	}
	_, before := to.apply(p)
	to.want("dead", "t", "0:5/-1kept")
	if _, err := offsets.Rollback(t.Context(), to.cl, before, offsets.RollbackConfig{}); err != nil {
		t.Error(err)
	}
	to.want("dead", "t", "")
}

// TestPlanBounds: beyond the end and below the start become these, unless told to.
func TestPlanBounds(t *testing.T) {
	to := newFake(t)
	to.topic("t", 2, 10)
	var start kadm.Offsets
	start.Add(kadm.Offset{Topic: "t", Partition: 1, At: 4})
	_, err := to.adm.DeleteRecords(t.Context(), start)
	to.ok(err)
	got := &offsets.Groups{Groups: []offsets.Group{{Group: "g", Offsets: []offsets.Committed{
		{Topic: "t", Partition: 0, Offset: 11}, {Topic: "t", Partition: 1, Offset: 3}, {Topic: "t", Partition: 2, Offset: 3},
	}}}}
	p := to.plan(offsets.PlanConfig{Groups: got})
	if r := refused(p.Refused()); r != "g t/2 unknown_partition" {
		t.Error(r)
	}
	got.Groups[0].Offsets = got.Groups[0].Offsets[:2]
	p = to.plan(offsets.PlanConfig{Groups: got})
	for i, want := range []offsets.Why{offsets.WhyPastEnd, offsets.WhyBeforeStart} {
		if o := p.Groups[0].Offsets[i]; o.Do != offsets.DoClamp || o.Why != want || o.Wanted != got.Groups[0].Offsets[i].Offset {
			t.Errorf("%+v", o)
		}
	}
	start = kadm.Offsets{}
	start.Add(kadm.Offset{Topic: "t", Partition: 1, At: 5})
	_, err = to.adm.DeleteRecords(t.Context(), start)
	to.ok(err)
	res, _ := to.apply(p)
	to.want("g", "t", "0:10/-1 1:5/-1")
	if refused(res.Raised) != "g t/1 before_start" {
		t.Errorf("%+v", res.Raised)
	}
	to.apply(to.plan(offsets.PlanConfig{Groups: got, AllowPastEnd: true, AllowRewind: true}))
	to.want("g", "t", "0:11/-1 1:5/-1")
}

// TestApplyRefuses: what has changed since the plan is refused by name.
func TestApplyRefuses(t *testing.T) {
	from, to := newFake(t), newFake(t)
	from.topic("t", 1, 10)
	from.topic("u", 1, 10)
	from.commit("g", "t", "", -1, 5)
	from.commit("h", "u", "", -1, 5)
	got := from.capture(offsets.CaptureConfig{})
	for name, tt := range map[string]struct {
		change func(to *side)
		want   string
	}{
		"moved":            {func(to *side) { to.commit("g", "t", "", -1, 1) }, "g t/0 moved"},
		"active":           {func(to *side) { to.join("g", "t") }, "g active"},
		"topic re-created": {func(to *side) { to.recreate("t", 10) }, "g t/0 recreated"},
		"topic deleted": {func(to *side) {
			_, err := to.adm.DeleteTopics(to.t.Context(), "t")
			to.ok(err)
		}, "g t/0 unknown_topic"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newFake(t)
			to.topic("t", 1, 10)
			to.topic("u", 1, 10)
			p := to.plan(offsets.PlanConfig{Groups: got})
			tt.change(to)
			to.wantRefused(p, tt.want)
			res, err := p.Apply(t.Context(), to.cl, offsets.ApplyConfig{SkipRefused: true, Save: func(*offsets.Before) error { return nil }})
			if err != nil || res.Offsets != 1 || refused(res.Refused) != tt.want {
				t.Errorf("%+v %v", res, err)
			}
		})
	}
	to.topic("t", 1, 10)
	to.topic("u", 1, 10)
	p := to.plan(offsets.PlanConfig{Groups: got})
	var other *offsets.ClusterError
	if _, err := p.Apply(t.Context(), from.cl, offsets.ApplyConfig{Save: func(*offsets.Before) error { return nil }}); !errors.As(err, &other) {
		t.Error(err)
	}
	full := errors.New("disk full")
	if _, err := p.Apply(t.Context(), to.cl, offsets.ApplyConfig{Save: func(*offsets.Before) error { return full }}); !errors.Is(err, full) {
		t.Error(err)
	}
	to.want("g", "t", "")
	// Between the look and the commit.
	res, err := p.Apply(t.Context(), to.cl, offsets.ApplyConfig{Save: func(*offsets.Before) error {
		to.commit("g", "t", "", -1, 9)
		return nil
	}})
	var r *offsets.RefusedError
	if !errors.As(err, &r) || res.Offsets != 1 || refused(res.Refused) != "g t/0 moved" {
		t.Errorf("%+v %v", res, err)
	}
	to.want("g", "t", "0:9/-1")
	to.want("h", "u", "0:5/-1")
}

func (s *side) recreate(topic string, n int) {
	s.t.Helper()
	_, err := s.adm.DeleteTopics(s.t.Context(), topic)
	s.ok(err)
	testkafka.Eventually(s.t, time.Minute, func(ctx context.Context) error {
		_, err := s.adm.CreateTopic(ctx, 1, -1, nil, topic)
		return err
	})
	testkafka.Known(s.t, s.c, topic)
	s.fill(topic, 1, n)
}

// TestRollbackRefuses: what others have done since is left alone, unless told to.
func TestRollbackRefuses(t *testing.T) {
	from, to := newFake(t), newFake(t)
	for _, s := range []*side{from, to} {
		s.topic("t", 1, 10)
	}
	from.commit("g", "t", "", -1, 5)
	from.commit("h", "t", "", -1, 5)
	_, before := to.apply(to.plan(offsets.PlanConfig{Groups: from.capture(offsets.CaptureConfig{})}))
	to.commit("g", "t", "", -1, 6)
	var r *offsets.RefusedError
	if _, err := offsets.Rollback(t.Context(), to.cl, before, offsets.RollbackConfig{}); !errors.As(err, &r) || refused(r.Refused) != "g t/0 moved" {
		t.Error(err)
	}
	to.want("h", "t", "0:5/-1")
	res, err := offsets.Rollback(t.Context(), to.cl, before, offsets.RollbackConfig{DryRun: true, Force: true})
	if err != nil || res.Offsets != 2 {
		t.Errorf("%+v %v", res, err)
	}
	leave := to.join("g", "t")
	if _, err := offsets.Rollback(t.Context(), to.cl, before, offsets.RollbackConfig{Force: true}); !errors.As(err, &r) || refused(r.Refused) != "g active" {
		t.Error(err)
	}
	leave()
	if _, err := offsets.Rollback(t.Context(), to.cl, before, offsets.RollbackConfig{Force: true}); err != nil {
		t.Error(err)
	}
	to.want("g", "t", "")
	to.want("h", "t", "")
}

// TestCaptureAbsent: a group that is gone is carried since then, and one that comes back is there
// again.
func TestCaptureAbsent(t *testing.T) {
	s := newFake(t)
	s.topic("t", 1, 10)
	s.commit("g", "t", "m", -1, 5)
	s.commit("h", "t", "", -1, 5)
	first := s.capture(offsets.CaptureConfig{})
	if _, err := s.adm.DeleteGroup(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	second := roundTrip(t, s.capture(offsets.CaptureConfig{Since: first}))
	g := second.Lookup("g")
	if g == nil || !g.AbsentSince.Equal(second.At) || g.Lookup("t", 0).Offset != 5 {
		t.Fatalf("%+v", g)
	}
	third := s.capture(offsets.CaptureConfig{Since: second})
	if g := third.Lookup("g"); g == nil || !g.AbsentSince.Equal(second.At) {
		t.Errorf("%+v", g)
	}
	if d := offsets.Diff(first, third); len(d.Groups) != 1 || d.Groups[0].Change != "removed" || !strings.Contains(d.String(), `t/0: 5 "m" -> nothing`) {
		t.Error(d)
	}
	if g := s.capture(offsets.CaptureConfig{Since: third, KeepAbsent: time.Nanosecond}).Lookup("g"); g != nil {
		t.Errorf("%+v", g)
	}
	if g := s.capture(offsets.CaptureConfig{Since: third, Only: []string{"h"}}).Lookup("g"); g != nil {
		t.Errorf("%+v", g)
	}
	s.commit("g", "t", "", -1, 7)
	if g := s.capture(offsets.CaptureConfig{Since: third}).Lookup("g"); g == nil || !g.AbsentSince.IsZero() || g.Lookup("t", 0).Offset != 7 {
		t.Errorf("%+v", g)
	}
}

// TestCaptureMoves: groups whose coordinator doesn't answer are asked for again, and only those.
func TestCaptureMoves(t *testing.T) {
	s := newFake(t)
	s.topic("t", 1, 10)
	for i := range 30 {
		s.commit(fmt.Sprint("g", i), "t", "", -1, int64(i%10))
	}
	k := testkafka.Kfake(s.c)
	var asked [][]string
	k.ControlKey(int16(kmsg.OffsetFetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req := kreq.(*kmsg.OffsetFetchRequest)
		var names []string
		for _, g := range req.Groups {
			names = append(names, g.Group)
		}
		asked = append(asked, names)
		if len(asked) > 1 {
			return nil, nil, false
		}
		k.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, name := range names {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.ErrorCode = name, kerr.CoordinatorLoadInProgress.Code
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, true
	})
	got := s.capture(offsets.CaptureConfig{})
	if len(got.Groups) != 30 || slices.ContainsFunc(got.Groups, func(g offsets.Group) bool { return g.Error != "" || len(g.Offsets) != 1 }) {
		t.Errorf("%+v", got.Groups)
	}
	if len(asked) < 2 {
		t.Errorf("asked %v", asked)
	}
}

// TestGroupsDenied: an error of one group is that group's.
func TestGroupsDenied(t *testing.T) {
	s := newFake(t)
	s.topic("t", 1, 10)
	s.commit("a", "t", "", -1, 3)
	s.commit("b", "t", "", -1, 4)
	k := testkafka.Kfake(s.c)
	k.ControlKey(int16(kmsg.OffsetFetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.OffsetFetchRequest)
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, rg := range req.Groups {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group = rg.Group
			if rg.Group == "a" {
				g.ErrorCode = kerr.GroupAuthorizationFailed.Code
			}
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, true
	})
	got := s.capture(offsets.CaptureConfig{})
	if g := got.Lookup("a"); !strings.Contains(g.Error, "GROUP_AUTHORIZATION_FAILED") || got.Lookup("b").Error != "" {
		t.Errorf("%+v", got.Groups)
	}
}

// TestGroupsConfig: all faults are named, before any I/O.
func TestGroupsConfig(t *testing.T) {
	var ce *offsets.ConfigError
	if _, err := offsets.Capture(t.Context(), nil, offsets.CaptureConfig{Only: []string{"("}, Exclude: []string{"["}}); !errors.As(err, &ce) || len(ce.Errs) != 2 {
		t.Error(err)
	}
	if _, err := offsets.NewGroupsPlan(t.Context(), nil, offsets.PlanConfig{}); !errors.As(err, &ce) {
		t.Error(err)
	}
	if _, err := new(offsets.GroupsPlan).Apply(t.Context(), nil, offsets.ApplyConfig{}); !errors.As(err, &ce) {
		t.Error(err)
	}
	if _, err := offsets.Rollback(t.Context(), nil, nil, offsets.RollbackConfig{}); !errors.As(err, &ce) {
		t.Error(err)
	}
	var id offsets.TopicID
	for _, text := range []string{"", "!", "AAAA"} {
		if id.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken for an ID", text)
		}
	}
}

// TestApplyBrokenOff ends an application at each of its commits, and rolls back or goes on: both
// are exact.
func TestApplyBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net kfake.VirtualNetwork
		s := newSide(t, testkafka.Fake(t, testkafka.Options{Network: &net}))
		s.topic("t", 2, 10)
		for i := range 4 { // two of them aren't there before
			if i%2 == 0 {
				s.commit(fmt.Sprint("g", i), "t", "was", 0, int64(i))
			}
		}
		was := s.capture(offsets.CaptureConfig{})
		want := &offsets.Groups{}
		for i := range 4 {
			want.Groups = append(want.Groups, offsets.Group{Group: fmt.Sprint("g", i), Offsets: []offsets.Committed{{Topic: "t", Offset: 5}, {Topic: "t", Partition: 1, Offset: 6}}})
		}
		p := s.plan(offsets.PlanConfig{Groups: want})
		for n := 1; ; n++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			hook := &commits{at: int64(n), do: func() { cancel(errors.New("broken off")) }}
			cl := testkafka.Client(t, s.c, kgo.WithHooks(hook))
			var before *offsets.Before
			_, err := p.Apply(ctx, cl, offsets.ApplyConfig{Save: func(b *offsets.Before) error { before = b; return nil }})
			cancel(nil)
			cl.Close()
			synctest.Wait() // a commit that was sent is made before the rollback looks
			if err == nil && atomic.LoadInt64(&hook.n) < int64(n) {
				break
			}
			if n%2 == 0 {
				s.apply(p) // goes on
				s.want("g1", "t", "0:5/-1 1:6/-1")
			}
			if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{}); err != nil {
				t.Fatal(n, err)
			}
			now := s.capture(offsets.CaptureConfig{})
			if diff := cmp.Diff(was.Groups, now.Groups); diff != "" {
				t.Fatalf("broken off at commit %d, then rolled back: %s", n, diff)
			}
		}
	})
}

// TestGroupsTwice: a file that names a group twice, or two offsets that become one, is no guess.
func TestGroupsTwice(t *testing.T) {
	s := newFake(t)
	s.topic("t", 1, 10)
	one := offsets.Group{Group: "g", Offsets: []offsets.Committed{{Topic: "t", Offset: 5}}}
	s.wantRefused(s.plan(offsets.PlanConfig{Groups: &offsets.Groups{Groups: []offsets.Group{one, one}}}), "g ambiguous")
	both := offsets.Group{Group: "g", Offsets: []offsets.Committed{{Topic: "a", Offset: 5}, {Topic: "b", Offset: 6}}}
	p := s.plan(offsets.PlanConfig{
		Groups:    &offsets.Groups{Groups: []offsets.Group{both}},
		Translate: offsets.Through(offsets.Exact{Rename: func(string) string { return "t" }}),
	})
	s.wantRefused(p, "g t/0 ambiguous, g t/0 ambiguous")
	if _, err := offsets.Rollback(t.Context(), s.cl, &offsets.Before{Groups: []offsets.BeforeGroup{{Group: "g"}, {Group: "g"}}}, offsets.RollbackConfig{}); err == nil {
		t.Error("taken")
	}
}

// TestGroupsOldBroker: brokers without topic IDs, group types and batches of groups.
func TestGroupsOldBroker(t *testing.T) {
	s := newSide(t, testkafka.Fake(t, testkafka.Options{Fake: []kfake.Opt{kfake.MaxVersions(kversion.V2_7_0())}}))
	s.topic("t", 2, 10)
	s.commit("g", "t", "m", 0, 3, 10)
	s.commit("h", "t", "", -1, 4)
	got := s.capture(offsets.CaptureConfig{})
	if g := got.Lookup("g"); len(got.Groups) != 2 || g.Type != "classic" || len(g.Offsets) != 2 || g.Error != "" {
		t.Fatalf("%+v", got)
	}
	s.commit("g", "t", "", -1, 1)
	_, before := s.apply(s.plan(offsets.PlanConfig{Groups: got}))
	s.want("g", "t", "0:3/-1m 1:10/0m")
	if _, err := offsets.Rollback(t.Context(), s.cl, before, offsets.RollbackConfig{}); err != nil {
		t.Error(err)
	}
	s.want("g", "t", "0:1/-1 1:10/0m")
}
