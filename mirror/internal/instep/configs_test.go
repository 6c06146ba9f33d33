package instep

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func own(v string) setting  { return setting{value: v, own: true, known: true} }
func dflt(v string) setting { return setting{value: v, known: true, def: v, hasDef: true} }

func TestPlanConfigs(t *testing.T) {
	topic := Topic{Target: "orders", ReplicationFactor: 2, Ready: true}
	fits := settings{cfgBefore: dflt(noLimit), cfgAfter: own(noLimit), cfgStampType: dflt("CreateTime"), cfgCompression: dflt("producer"), cfgMaxMessage: dflt("1048588")}
	with := func(more settings) settings {
		all := settings{}
		for _, s := range []settings{fits, more} {
			for k, v := range s {
				all[k] = v
			}
		}
		return all
	}
	for _, tt := range []struct {
		name     string
		held     bool
		src, dst settings
		owned    []string
		set      map[string]string
		remove   []string
		later    []string
		events   int
	}{
		{name: "what is set is set, what is inherited isn't", src: settings{"retention.ms": own("5"), "segment.bytes": dflt("7")}, dst: fits,
			set: map[string]string{"retention.ms": "5"}, later: []string{"retention.ms"}},
		{name: "the same value inherited is set nevertheless", src: settings{"flush.ms": own("5")}, dst: with(settings{"flush.ms": dflt("5")}),
			set: map[string]string{"flush.ms": "5"}, later: []string{"flush.ms"}},
		{name: "the target's own stays", src: fits, dst: with(settings{"retention.ms": own("5")})},
		{name: "removed at the source, ours", src: fits, dst: with(settings{"retention.ms": own("5")}), owned: []string{"retention.ms"}, remove: []string{"retention.ms"}},
		{name: "removed on both sides", src: fits, dst: fits, owned: []string{"retention.ms"}},
		{name: "left out", dst: fits, src: settings{cfgCompression: own("zstd"), cfgStampType: own("LogAppendTime"), "remote.storage.enable": own("true"),
			"leader.replication.throttled.replicas": own("*"), "unclean.leader.election.enable": own("true")}},
		{name: "what a copy needs", src: fits, dst: with(settings{cfgCompression: dflt("lz4"), cfgStampType: own("LogAppendTime"), cfgAfter: dflt("3600000")}),
			set:   map[string]string{cfgCompression: "producer", cfgStampType: "CreateTime", cfgAfter: noLimit},
			later: []string{cfgCompression, cfgAfter, cfgStampType}},
		{name: "in-sync replicas are capped", src: settings{cfgMinInSync: own("3")}, dst: fits, set: map[string]string{cfgMinInSync: "2"}, later: []string{cfgMinInSync}, events: 1},
		{name: "a larger message by default", src: settings{cfgMaxMessage: dflt("2000000")}, dst: fits, set: map[string]string{cfgMaxMessage: "2000000"}, later: []string{cfgMaxMessage}},
		{name: "a smaller message isn't enforced", src: settings{cfgMaxMessage: own("1000")}, dst: with(settings{cfgMaxMessage: own("2000000")}), owned: []string{cfgMaxMessage}, later: []string{cfgMaxMessage}},
		{name: "set explicitly, though smaller", src: settings{cfgMaxMessage: own("1000")}, dst: fits, set: map[string]string{cfgMaxMessage: "1048588"}, later: []string{cfgMaxMessage}},
		{name: "held", held: true, src: settings{cfgCleanup: own("compact"), cfgRetentionMs: own("5"), "segment.ms": own("9")},
			dst: with(settings{cfgCleanup: own("delete"), cfgRetentionMs: own("-1")}), owned: []string{cfgCleanup, cfgRetentionMs},
			set: map[string]string{"segment.ms": "9"}, later: []string{cfgCleanup, cfgRetentionMs, "segment.ms"}},
		{name: "the hold is over", src: settings{cfgCleanup: own("compact")}, dst: with(settings{cfgCleanup: own("delete"), cfgRetentionMs: own("-1")}),
			owned: []string{cfgAfter, cfgCleanup, cfgRetentionMs}, set: map[string]string{cfgCleanup: "compact"}, remove: []string{cfgRetentionMs}, later: []string{cfgCleanup, cfgAfter}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			topic := topic
			topic.Ready = !tt.held
			c, events := planConfigs(topic, tt.src, tt.dst, tt.owned)
			if len(c.Set) == 0 {
				c.Set = nil
			}
			slices.Sort(tt.later)
			if d := cmp.Diff([]any{tt.set, tt.remove, append([]string{}, tt.later...)}, []any{c.Set, c.Remove, append([]string{}, c.later...)}); d != "" {
				t.Errorf("set, remove, ours (-want +got):\n%s", d)
			}
			if len(events) != tt.events {
				t.Errorf("events %v", events)
			}
		})
	}
}

// A topic is created held, gets the source's configs, and loses those that were set from here;
// another process goes on where this one ended.
func TestConfigs(t *testing.T) { testConfigs(t, fakes(t, testkafka.Options{})) }

func TestRealConfigs(t *testing.T) { testConfigs(t, reals(t)) }

func testConfigs(t *testing.T, p *pair) {
	s := NewConfigs(p.sides)
	if err := s.Created(ctxOf(t), "configs"); err != nil {
		t.Fatal(err)
	}
	held := map[string]*string{}
	for name, value := range NewTopicConfigs() {
		held[name] = ptr(value)
	}
	topic := p.topic("configs", "configs", 1, map[string]*string{cfgCleanup: ptr("compact"), "segment.ms": ptr("100000"), cfgCompression: ptr("lz4")}, held)
	topic.Ready = false
	p.alter(p.dst, "configs", map[string]*string{"flush.ms": ptr("7000")})

	v := View{Topics: []Topic{topic}}
	plan, err := NewConfigs(p.sides).Plan(ctxOf(t), v)
	if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Set["segment.ms"] != "100000" {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	sync1(t, s, v)
	want := map[string]string{"flush.ms": "7000", "segment.ms": "100000"}
	for name, value := range NewTopicConfigs() {
		want[name] = value
	}
	p.expectOwn("configs", want)

	v.Topics[0].Ready = true
	s = NewConfigs(p.sides)
	sync1(t, s, v)
	delete(want, cfgRetention)
	delete(want, cfgRetentionMs)
	want[cfgCleanup] = "compact"
	p.expectOwn("configs", want)

	p.alter(p.src, "configs", map[string]*string{"segment.ms": nil, cfgRetentionMs: ptr("86400000")})
	p.sides.Ledger = p.ledger()
	s = NewConfigs(p.sides)
	testkafka.Eventually(t, time.Minute, func(context.Context) error { // a real broker hears of it a moment later
		sync1(t, s, v)
		if _, there := p.own("configs")["segment.ms"]; there {
			return errors.New("segment.ms is still there")
		}
		return nil
	})
	delete(want, "segment.ms")
	want[cfgRetentionMs] = "86400000"
	p.expectOwn("configs", want)
	if r := sync1(t, s, v); r.Changed > 0 {
		t.Errorf("nothing to do, and %d changed", r.Changed)
	}

	// The name belongs to another topic now: what it has isn't ours.
	if _, err := p.dst.DeleteTopics(ctxOf(t), "configs"); err != nil {
		t.Fatal(err)
	}
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		r, err := p.dst.CreateTopic(ctx, 1, 1, map[string]*string{cfgRetentionMs: ptr("1"), cfgCleanup: ptr("delete"), "segment.ms": ptr("5000")}, "configs")
		v.Topics[0].TargetID = r.ID
		return err
	})
	testkafka.Known(t, p.to, "configs")
	p.alter(p.src, "configs", map[string]*string{cfgRetentionMs: nil, cfgCleanup: nil})
	sync1(t, s, v)
	got := p.own("configs")
	if got[cfgRetentionMs] != "1" || got["segment.ms"] != "5000" {
		t.Errorf("configs of another's topic were removed: %v", got)
	}
}

func (p *pair) expectOwn(topic string, want map[string]string) {
	p.t.Helper()
	testkafka.Eventually(p.t, time.Minute, func(context.Context) error {
		if d := cmp.Diff(want, p.own(topic)); d != "" {
			return errors.New("configs of " + topic + " (-want +got):\n" + d)
		}
		return nil
	})
}

// A config that the standby doesn't take is named once, and the others are set.
func TestConfigRefused(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	topic := p.topic("refused", "refused", 1, map[string]*string{"vendor.special": ptr("x"), "retention.ms": ptr("5"), "segment.ms": ptr("9")}, nil)
	refuse := func() {
		testkafka.Kfake(p.to).ControlKey(int16(kmsg.IncrementalAlterConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			testkafka.Kfake(p.to).KeepControl()
			req := kreq.(*kmsg.IncrementalAlterConfigsRequest)
			resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
			for _, r := range req.Resources {
				if !slices.ContainsFunc(r.Configs, func(c kmsg.IncrementalAlterConfigsRequestResourceConfig) bool { return c.Name == "vendor.special" }) {
					return nil, nil, false
				}
				rr := kmsg.NewIncrementalAlterConfigsResponseResource()
				rr.ResourceName, rr.ErrorCode, rr.ErrorMessage = r.ResourceName, kerr.InvalidConfig.Code, ptr("Unknown topic config name: vendor.special")
				resp.Resources = append(resp.Resources, rr)
			}
			return resp, nil, true
		})
	}
	refuse()
	v := View{Topics: []Topic{topic}}
	plan, err := NewConfigs(p.sides).Plan(ctxOf(t), v)
	if err != nil || len(plan.Events) != 1 || plan.Events[0].Kind != ConfigRefused || len(p.own("refused")) > 0 {
		t.Fatalf("plan %+v, %v; configs %v", plan, err, p.own("refused"))
	}
	s := NewConfigs(p.sides)
	r := sync1(t, s, v)
	if got := kinds(r); !slices.Equal(got, []string{"config_refused refused"}) || !strings.Contains(r.Events[0].Detail, "vendor.special") || r.Failed != 1 {
		t.Errorf("report %+v", r)
	}
	got := p.own("refused")
	if got["retention.ms"] != "5" || got["segment.ms"] != "9" || got["vendor.special"] != "" {
		t.Errorf("configs %v", got)
	}
	if r := sync1(t, s, v); len(r.Events) > 0 || r.Changed > 0 || r.Failed > 0 {
		t.Errorf("again: %+v", r)
	}
}

// Clusters whose defaults would delete at different times are named, with the topics that have
// nothing else.
func TestOtherDefaults(t *testing.T) {
	var o otherDefaults
	week, day := settings{cfgRetentionMs: dflt("604800000"), cfgCleanup: dflt("delete")}, settings{cfgRetentionMs: dflt("86400000"), cfgCleanup: dflt("delete")}
	o.look(Topic{Target: "b", Ready: true}, week, day, nil)
	o.look(Topic{Target: "a", Ready: true}, week, day, nil)
	o.look(Topic{Target: "own", Ready: true}, week, settings{cfgRetentionMs: {value: "1", own: true, known: true, def: "86400000", hasDef: true}, cfgCleanup: dflt("delete")}, nil)
	want := []Event{{Kind: ConfigDefault, Detail: "retention.ms=604800000, a default of the source's, is set on a, b: the standby's is 86400000"}}
	if d := cmp.Diff(want, o.events()); d != "" {
		t.Error(d)
	}
}
