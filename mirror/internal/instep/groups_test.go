package instep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// eager looks at everything in every round.
func (p *pair) eager() GroupsConfig {
	return GroupsConfig{Sides: p.sides, Look: time.Nanosecond, Settle: time.Nanosecond}
}

func (p *pair) expect(group, topic string, want ...int64) {
	p.t.Helper()
	if got := p.committed(p.dst, group, topic, len(want)); !slices.Equal(got, want) {
		p.t.Errorf("%s has %v of %s on the standby, want %v", group, got, topic, want)
	}
}

func wantKinds(t *testing.T, r Report, want ...string) {
	t.Helper()
	if got := kinds(r); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v: %v", got, want, r.Events)
	}
}

// What groups have committed arrives under the copies' names, within what the standby has; a rewind
// follows; what isn't mirrored doesn't matter.
func TestGroups(t *testing.T) { testGroups(t, fakes(t, testkafka.Options{Brokers: 3})) }

func TestRealGroups(t *testing.T) { testGroups(t, reals(t)) }

func testGroups(t *testing.T, p *pair) {
	topic := p.topic("g-orders", "A.g-orders", 4, nil, nil)
	p.create(p.from, "g-other", 1, nil)
	topic.Partitions = []Partition{{LogStart: 10, Durable: 100}, {LogStart: 10, Durable: 100}, {LogStart: 10, Durable: 100}, {Durable: -1}}
	v := View{Topics: []Topic{topic}}
	p.commit(p.src, "g-1", "g-orders", 3, 5, 50, 500, 1)
	p.commit(p.src, "g-2", "g-other", 3, 7)
	p.commit(p.src, "g-out", "g-orders", 3, 7)
	cfg := p.eager()
	cfg.Only, cfg.Exclude = []*regexp.Regexp{regexp.MustCompile("^g-")}, []*regexp.Regexp{regexp.MustCompile("out")}

	plan, pr, err := NewGroups(cfg).Plan(ctxOf(t), v)
	if err != nil || len(plan.Changes) != 1 || len(plan.Changes[0].Commits) != 3 || pr.Clamped != 2 {
		t.Fatalf("plan %+v %+v, %v", plan, pr, err)
	}
	p.expect("g-1", "A.g-orders", -1)
	s := NewGroups(cfg)
	r := sync1(t, s, v)
	if r.Changed != 3 || r.Clamped != 2 || r.Groups != 1 || len(r.Events) > 0 {
		t.Errorf("report %+v", r)
	}
	p.expect("g-1", "A.g-orders", 10, 50, 100, -1)
	p.expect("g-out", "A.g-orders", -1)
	p.expectEpoch("g-1", "A.g-orders")

	v.Topics[0].Partitions[2].Durable, v.Topics[0].Partitions[3].Durable = 300, 300
	if r := sync1(t, s, v); r.Changed != 2 {
		t.Errorf("the standby has more: %+v", r)
	}
	p.expect("g-1", "A.g-orders", 10, 50, 300, 1)

	p.commit(p.src, "g-1", "g-orders", 3, 20, 30, 40, 1)
	sync1(t, s, v)
	p.expect("g-1", "A.g-orders", 20, 30, 40, 1)

	v.Topics[0].Partitions[0].Durable = 15 // an unclean election took it back
	v.Topics[0].Partitions[1].Stopped = true
	p.commit(p.src, "g-1", "g-orders", 3, 20, 99, 41, 1)
	sync1(t, s, v)
	p.expect("g-1", "A.g-orders", 15, 30, 41, 1)

	if r := sync1(t, s, v); r.Changed+r.Refreshed+len(r.Events) > 0 {
		t.Errorf("nothing to do: %+v", r)
	}
}

// expectEpoch holds that commits carry no leader epoch of the other cluster.
func (p *pair) expectEpoch(group, topic string) {
	p.t.Helper()
	got, err := p.dst.FetchOffsets(ctxOf(p.t), group)
	if err != nil {
		p.t.Fatal(err)
	}
	if o, ok := got.Lookup(topic, 0); !ok || o.LeaderEpoch != -1 {
		p.t.Errorf("leader epoch %d", o.LeaderEpoch)
	}
}

// A group with members at the source is carried; one with members on the standby is left alone
// until they have gone, and from then on if they have committed.
func TestGroupActive(t *testing.T) { testGroupActive(t, fakes(t, testkafka.Options{}), "act") }

func TestGroupActiveKIP848(t *testing.T) {
	testGroupActive(t, fakes(t, testkafka.Options{}), "act", kgo.ServerSideBalancer())
}

func TestRealGroupActive(t *testing.T) {
	p := reals(t)
	testGroupActive(t, p, "act")
	testGroupActive(t, p, "new", kgo.ServerSideBalancer())
}

func testGroupActive(t *testing.T, p *pair, name string, opts ...kgo.Opt) {
	v := View{Topics: []Topic{p.topic(name, name, 1, nil, nil)}}
	cfg := p.eager()
	cfg.Only = []*regexp.Regexp{regexp.MustCompile("^" + name + "-")}
	s := NewGroups(cfg)
	p.commit(p.src, name+"-src", name, 1, 7)
	p.commit(p.src, name+"-dst", name, 1, 8)
	leaveSource := p.member(p.from, name+"-src", name, opts...)
	wantKinds(t, sync1(t, s, v))
	p.expect(name+"-src", name, 7)
	p.expect(name+"-dst", name, 8)

	leave := p.member(p.to, name+"-dst", name, opts...)
	p.commit(p.src, name+"-dst", name, 1, 9)
	r := sync1(t, s, v)
	wantKinds(t, r, "group_active "+name+"-dst")
	if r.Active != 1 {
		t.Errorf("report %+v", r)
	}
	p.expect(name+"-dst", name, 8)
	wantKinds(t, sync1(t, s, v))
	leave()
	wantKinds(t, sync1(t, s, v))
	p.expect(name+"-dst", name, 9)
	leaveSource()

	leave = p.member(p.to, name+"-dst", name, opts...)
	wantKinds(t, sync1(t, s, v), "group_active "+name+"-dst") // though there is nothing to do for it
	leave()
	p.commit(p.dst, name+"-dst", name, 0, 3)
	p.commit(p.src, name+"-dst", name, 1, 10)
	wantKinds(t, sync1(t, s, v), "group_diverged "+name+"-dst")
	p.expect(name+"-dst", name, 3)
}

// A group whose offsets on the standby were moved by somebody else is left alone, whichever process
// finds it, until they are what they were.
func TestGroupDiverged(t *testing.T) {
	for _, how := range []string{"running", "closed", "killed"} {
		t.Run(how, func(t *testing.T) {
			p := fakes(t, testkafka.Options{})
			v := View{Topics: []Topic{p.topic("div", "div", 2, nil, nil)}}
			s := NewGroups(GroupsConfig{Sides: p.sides, Look: time.Nanosecond})
			p.commit(p.src, "moved", "div", 1, 5, 6)
			p.commit(p.src, "ours", "div", 1, 5, 6)
			sync1(t, s, v)
			epoch := int32(-1) // an administrator's, which a process that was killed can't tell from its own
			switch how {
			case "closed":
				if err := s.Close(ctxOf(t)); err != nil {
					t.Fatal(err)
				}
				fallthrough
			case "killed":
				p.sides.Ledger = p.ledger()
				s = NewGroups(p.eager())
			}
			if how == "killed" {
				epoch = 0
			}
			p.commit(p.dst, "moved", "div", epoch, 3)
			p.commit(p.src, "moved", "div", 1, 7, 8)
			p.commit(p.src, "ours", "div", 1, 7, 8)
			r := sync1(t, s, v)
			wantKinds(t, r, "group_diverged moved")
			if r.Diverged != 1 {
				t.Errorf("report %+v", r)
			}
			p.expect("moved", "div", 3, 6)
			p.expect("ours", "div", 7, 8)
			wantKinds(t, sync1(t, s, v))

			p.commit(p.dst, "moved", "div", -1, 7, 8)
			p.commit(p.src, "moved", "div", 1, 9, 9)
			over := p.eager()
			over.Diverged = Overwrite
			sync1(t, NewGroups(over), v)
			p.expect("moved", "div", 9, 9)
		})
	}
}

// Back to what was committed from here, or to what the source has, a group is followed again.
func TestGroupUndiverged(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("und", "und", 1, nil, nil)}}
	s := NewGroups(p.eager())
	p.commit(p.src, "g", "und", 1, 5)
	sync1(t, s, v)
	p.commit(p.dst, "g", "und", -1, 3)
	wantKinds(t, sync1(t, s, v), "group_diverged g")
	p.commit(p.dst, "g", "und", -1, 5)
	wantKinds(t, sync1(t, s, v))
	p.commit(p.src, "g", "und", 1, 6)
	wantKinds(t, sync1(t, s, v))
	p.expect("g", "und", 6)
	p.commit(p.dst, "g", "und", -1, 3)
	wantKinds(t, sync1(t, s, v), "group_diverged g")
}

// A topic that comes later brings offsets that an earlier process has committed: they are ours. An
// offset that somebody commits for another partition of a topic isn't.
func TestGroupLaterTopic(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	first, later := p.topic("first", "first", 2, nil, nil), p.topic("later", "later", 1, nil, nil)
	p.commit(p.src, "g", "first", 1, 5)
	p.commit(p.src, "g", "later", 1, 6)
	sync1(t, NewGroups(p.eager()), View{Topics: []Topic{first, later}})
	p.sides.Ledger = p.ledger()
	s := NewGroups(p.eager())
	wantKinds(t, sync1(t, s, View{Topics: []Topic{first}}))
	p.commit(p.src, "g", "later", 1, 7)
	wantKinds(t, sync1(t, s, View{Topics: []Topic{first, later}}))
	p.expect("g", "later", 7)
	p.commit(p.dst, "g", "first", -1, 5, 2)
	wantKinds(t, sync1(t, s, View{Topics: []Topic{first, later}}), "group_diverged g")
}

// Offsets that were on the standby before any mirror: an administrator's are replaced, which is
// said; a consumer's are not.
func TestGroupAdopted(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("ado", "ado", 1, nil, nil)}}
	for _, g := range []string{"admin", "consumer", "equal"} {
		p.commit(p.src, g, "ado", 1, 5)
	}
	p.commit(p.dst, "admin", "ado", -1, 3)
	p.commit(p.dst, "consumer", "ado", 0, 3)
	p.commit(p.dst, "equal", "ado", 0, 5)
	wantKinds(t, sync1(t, NewGroups(p.eager()), v), "group_adopted admin", "group_diverged consumer")
	p.expect("admin", "ado", 5)
	p.expect("consumer", "ado", 3)
}

// What the source has no more is kept, or deleted, where it is ours.
func TestGroupGone(t *testing.T) {
	for _, gone := range []Gone{GoneKept, GoneDeleted} {
		t.Run(string(gone), func(t *testing.T) { testGroupGone(t, fakes(t, testkafka.Options{}), gone) })
	}
}

func TestRealGroupGone(t *testing.T) { testGroupGone(t, reals(t), GoneDeleted) }

func testGroupGone(t *testing.T, p *pair, gone Gone) {
	v := View{Topics: []Topic{p.topic("gone", "gone", 2, nil, nil)}}
	cfg := p.eager()
	cfg.Gone, cfg.Only = gone, []*regexp.Regexp{regexp.MustCompile("^gone-")}
	s := NewGroups(cfg)
	for _, g := range []string{"gone-whole", "gone-part", "gone-moved"} {
		p.commit(p.src, g, "gone", 1, 5, 6)
	}
	sync1(t, s, v)
	if _, err := p.src.DeleteGroups(ctxOf(t), "gone-whole", "gone-moved"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.src.DeleteOffsets(ctxOf(t), "gone-part", kadm.TopicsSet{"gone": {1: {}}}); err != nil {
		t.Fatal(err)
	}
	p.commit(p.dst, "gone-moved", "gone", 0, 1)
	var events []string
	for range goneAfter + 1 {
		events = append(events, kinds(sync1(t, s, v))...)
	}
	wantWhole, wantPart, wantEvents := []int64{5, 6}, []int64{5, 6}, []string(nil)
	if gone == GoneDeleted {
		wantWhole, wantPart, wantEvents = []int64{-1, -1}, []int64{5, -1}, []string{"group_deleted gone-whole", "group_diverged gone-moved"}
	}
	p.expect("gone-whole", "gone", wantWhole...)
	p.expect("gone-part", "gone", wantPart...)
	p.expect("gone-moved", "gone", 1, 6)
	slices.Sort(events)
	if !slices.Equal(events, wantEvents) {
		t.Errorf("events %v, want %v", events, wantEvents)
	}
}

// A group that is in no list for a moment isn't gone: it is asked for by name.
func TestGroupUnlisted(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("unl", "unl", 1, nil, nil)}}
	cfg := p.eager()
	cfg.Gone = GoneDeleted
	s := NewGroups(cfg)
	p.commit(p.src, "g", "unl", 1, 5)
	sync1(t, s, v)
	show := hideGroups(p.from)
	for range goneAfter + 2 {
		wantKinds(t, sync1(t, s, v))
	}
	p.expect("g", "unl", 5)
	show()
	p.commit(p.src, "g", "unl", 1, 6)
	wantKinds(t, sync1(t, s, v))
	p.expect("g", "unl", 6)
}

// A commit under way in a transaction is neither taken nor waited for, and named once it stays.
func TestGroupPending(t *testing.T) { testGroupPending(t, fakes(t, testkafka.Options{})) }

func TestRealGroupPending(t *testing.T) { testGroupPending(t, reals(t)) }

func testGroupPending(t *testing.T, p *pair) {
	v := View{Topics: []Topic{p.topic("pend", "pend", 1, nil, nil)}}
	cfg := p.eager()
	cfg.Pending, cfg.Only = time.Nanosecond, []*regexp.Regexp{regexp.MustCompile("^pend-")}
	s := NewGroups(cfg)
	p.commit(p.src, "pend-g", "pend", 1, 5)
	end := p.pendingCommit("pend-g", v.Topics[0], 9)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		r := sync1(t, s, v)
		if said := kinds(Report{Events: s.said()}); len(r.Pending) != 1 || !slices.Equal(said, []string{"group_pending pend-g"}) {
			return fmt.Errorf("report %+v, said %v", r, said)
		}
		return nil
	})
	p.expect("pend-g", "pend", 5)
	end()
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		sync1(t, s, v)
		if got := p.committed(p.dst, "pend-g", "pend", 1); got[0] != 9 {
			return fmt.Errorf("committed %v", got)
		}
		return nil
	})
}

// said are the events that hold now.
func (s *Groups) said() []Event {
	var es []Event
	for n, detail := range s.notices.said {
		es = append(es, Event{n.kind, n.topic, n.group, detail})
	}
	return es
}

// A share group has no offsets, which is said once.
func TestGroupShare(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("sh", "sh", 1, nil, nil)}}
	cl, err := kgo.NewClient(append(p.from.Opts(), kgo.ShareGroup("shared"), kgo.ConsumeTopics("sh"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	go cl.PollFetches(ctxOf(t))
	s := NewGroups(p.eager())
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if r := sync1(t, s, v); !slices.Equal(kinds(r), []string{"group_share shared"}) {
			return fmt.Errorf("events %v", r.Events)
		}
		return nil
	})
	wantKinds(t, sync1(t, s, v))
}

// An idle group outlives the standby's retention of offsets, which is read from it.
func TestGroupRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := func() testkafka.Cluster {
			return testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork), Configs: map[string]string{
				"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "500",
			}})
		}
		p := pairOf(t, fake(), fake())
		testGroupRefresh(t, p, 5*time.Minute, func() { p.commit(p.src, "ref-idle", "ref", 1, 5) })
	})
}

func TestRealGroupRefresh(t *testing.T) {
	d := 66 * time.Second
	if os.Getenv("KAFKADR_LONG") != "" {
		d = 3 * time.Minute
	}
	testGroupRefresh(t, reals(t), d, func() {})
}

// alive keeps the source's group from expiring, where that expires as well.
func testGroupRefresh(t *testing.T, p *pair, d time.Duration, alive func()) {
	v := View{Topics: []Topic{p.topic("ref", "ref", 1, nil, nil)}}
	p.commit(p.src, "ref-idle", "ref", 1, 5)
	p.commit(p.dst, "ref-left", "ref", -1, 5)
	cfg := GroupsConfig{Sides: p.sides, Only: []*regexp.Regexp{regexp.MustCompile("^ref-idle")}}
	s := NewGroups(cfg)
	refreshed := 0
	for began := time.Now(); time.Since(began) < d; {
		alive()
		refreshed += sync1(t, s, v).Refreshed
		if got := p.committed(p.dst, "ref-idle", "ref", 1); got[0] != 5 {
			t.Fatalf("after %v: %v", time.Since(began), got)
		}
		tick(t, time.Second)
	}
	p.expect("ref-left", "ref", -1)
	if most := int(d/s.keep)*2 + 2; refreshed < int(d/s.keep) || refreshed > most {
		t.Errorf("committed again %d times in %v, at most every %v", refreshed, d, s.keep)
	}
}

// Coordinators that move or fall silent are followed; groups of others aren't held up.
func TestGroupCoordinators(t *testing.T) {
	p := fakes(t, testkafka.Options{Brokers: 3})
	v := View{Topics: []Topic{p.topic("crd", "crd", 1, nil, nil)}}
	s := NewGroups(p.eager())
	for i := range 30 {
		p.commit(p.src, fmt.Sprintf("g%d", i), "crd", 1, 5)
	}
	sync1(t, s, v)
	for side, c := range []testkafka.Cluster{p.from, p.to} {
		c.Stop(t, 1)
		at := int64(10 + side)
		app := kadm.NewClient(testkafka.Client(t, p.from)) // a client of its own, so that ours has to find out by itself
		for i := range 30 {
			p.commit(app, fmt.Sprintf("g%d", i), "crd", 1, at)
		}
		testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
			if _, err := s.Sync(ctx, v); err != nil {
				return err
			}
			var late []string
			for i := range 30 {
				if got := p.committed(p.dst, fmt.Sprintf("g%d", i), "crd", 1); got[0] != at {
					late = append(late, fmt.Sprintf("g%d", i))
				}
			}
			if len(late) > 0 {
				return errors.New("late: " + strings.Join(late, " "))
			}
			return nil
		})
		c.Start(t, 1)
	}
}

// The ledger is written when a group begins to move and when it has come to rest, not each time.
func TestGroupNotes(t *testing.T) {
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("note", "note", 1, nil, nil)}}
	l := &counting{Ledger: p.sides.Ledger}
	p.sides.Ledger = l
	s := NewGroups(GroupsConfig{Sides: p.sides})
	for i := range 20 {
		p.commit(p.src, "g", "note", 1, int64(i))
		sync1(t, s, v)
	}
	if l.puts != 1 {
		t.Errorf("%d puts while it moves", l.puts)
	}
	for range 2 {
		if err := s.Close(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	}
	if l.puts != 2 {
		t.Errorf("%d puts in all", l.puts)
	}
	notes, err := readGroupNotes(p.ledger(), p.sides.withDefaults().key("groups"))
	want := noteOf(marks{{topic: "note", offset: 19, meta: ptr("at 19")}})
	if d := cmp.Diff(want, notes.notes["g"]); d != "" || err != nil {
		t.Error(d, err)
	}
}

type counting struct {
	Ledger
	puts int
}

func (c *counting) Put(ctx context.Context, entries map[string]any) error {
	c.puts++
	return c.Ledger.Put(ctx, entries)
}
