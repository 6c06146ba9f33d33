package source

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

var old, young, other = kadm.TopicID{1}, kadm.TopicID{2}, kadm.TopicID{3}

// is is a topic of as many partitions, all of one leader epoch.
func is(name string, id kadm.TopicID, partitions int, epoch int32) rawkafka.Topic {
	t := rawkafka.Topic{Name: name, ID: id}
	for i := range partitions {
		t.Partitions = append(t.Partitions, rawkafka.PartitionMetadata{Partition: int32(i), LeaderEpoch: epoch})
	}
	return t
}

func fails(name string, err error) rawkafka.Topic { return rawkafka.Topic{Name: name, Err: err} }

func says(topics ...rawkafka.Topic) View {
	v := View{}
	for _, t := range topics {
		v[t.Name] = t
	}
	return v
}

func TestFactOf(t *testing.T) {
	has, another, nothing, denied, made := says(is("t", old, 1, 0)), says(is("t", young, 1, 0)), says(), says(fails("t", kerr.TopicAuthorizationFailed)), says(is("t", young, 0, 0))
	for name, tt := range map[string]struct {
		views []View
		want  Fact
	}{
		"nobody answers":                 {nil, Unheard},
		"nobody has it":                  {[]View{nothing, nothing}, Absent},
		"one has it":                     {[]View{nothing, nothing, has}, Here},
		"one has another":                {[]View{nothing, another, nothing}, Another},
		"one has it, others another":     {[]View{another, another, has}, Here},
		"one may not say":                {[]View{nothing, denied}, Here},
		"one has it without partitions":  {[]View{another, made}, Here},
		"all have another":               {[]View{another, another}, Another},
		"nothing first, another after":   {[]View{nothing, another}, Another},
		"another first, and then nobody": {[]View{another, nothing}, Another},
	} {
		if got := factOf(tt.views, Known{"t", old}); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if factOf([]View{nothing, another}, Known{Name: "t"}) != Here {
		t.Error("no ID isn't any")
	}
}

// TestTransitions holds the table at topic.next, each cell of it.
func TestTransitions(t *testing.T) {
	now := time.Unix(1000, 0)
	const after = 10 * time.Second
	early, late := now.Add(-after+1), now.Add(-after)
	for _, from := range []topic{{}, {Doubted, early}, {Doubted, late}, {Gone, late}, {Replaced, late}} {
		for fact, want := range map[Fact]topic{
			Unheard: from,
			Here:    {},
			Absent:  map[topic]topic{{}: {Doubted, now}, {Doubted, early}: {Doubted, early}, {Doubted, late}: {Gone, late}, {Gone, late}: {Gone, late}, {Replaced, late}: {Gone, late}}[from],
			Another: map[topic]topic{{}: {Doubted, now}, {Doubted, early}: {Doubted, early}, {Doubted, late}: {Replaced, late}, {Gone, late}: {Replaced, late}, {Replaced, late}: {Replaced, late}}[from],
		} {
			if got := from.next(fact, now, after); got != want {
				t.Errorf("%v, fact %d: %v, want %v", from, fact, got, want)
			}
		}
	}
}

func TestUnion(t *testing.T) {
	for name, tt := range map[string]struct {
		views []View
		want  rawkafka.Topic
	}{
		"one alone knows it":                       {[]View{says(), says(is("t", young, 1, 3)), says()}, is("t", young, 1, 3)},
		"more partitions, later epochs":            {[]View{says(is("t", young, 1, 4)), says(is("t", young, 2, 3))}, func() rawkafka.Topic { t := is("t", young, 2, 3); t.Partitions[0].LeaderEpoch = 4; return t }()},
		"the incarnation that is followed":         {[]View{says(is("t", young, 1, 0)), says(is("t", young, 1, 0)), says(is("t", old, 1, 0))}, is("t", old, 1, 0)},
		"the one that most have":                   {[]View{says(is("t", other, 1, 9)), says(is("t", young, 1, 0)), says(is("t", young, 1, 0))}, is("t", young, 1, 0)},
		"halves":                                   {[]View{says(is("t", other, 1, 0)), says(is("t", young, 1, 0))}, fails("t", kerr.LeaderNotAvailable)},
		"halves, and a third":                      {[]View{says(is("t", other, 1, 0)), says(is("t", young, 1, 0)), says(is("t", kadm.TopicID{9}, 1, 0))}, fails("t", kerr.LeaderNotAvailable)},
		"denied by one":                            {[]View{says(fails("t", kerr.TopicAuthorizationFailed)), says(is("t", young, 1, 0))}, is("t", young, 1, 0)},
		"denied, or being made: what doesn't pass": {[]View{says(fails("t", kerr.LeaderNotAvailable)), says(fails("t", kerr.TopicAuthorizationFailed))}, fails("t", kerr.TopicAuthorizationFailed)},
	} {
		got := Union(tt.views, map[string]kadm.TopicID{"t": old})["t"]
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// brokers is a cluster of brokers that say different things. Topics asks the first.
type brokers struct {
	err error

	mu    sync.Mutex
	views []View
	asked int
}

// say changes what the first of them says.
func (b *brokers) say(v View) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.views[0] = v
}

func (b *brokers) of(v View, names []string) View {
	if len(names) == 0 {
		return v
	}
	some := View{}
	for _, name := range names {
		if t, ok := v[name]; ok {
			some[name] = t
		}
	}
	return some
}

func (b *brokers) Topics(_ context.Context, names ...string) (map[string]rawkafka.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	all := b.of(b.views[0], names)
	copied := View{}
	for name, t := range all {
		copied[name] = t
	}
	for _, name := range names {
		if _, ok := copied[name]; !ok {
			copied[name] = absent(name)
		}
	}
	return copied, b.err
}

func (b *brokers) Everywhere(_ context.Context, names ...string) ([]map[string]rawkafka.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked += len(b.views)
	var views []map[string]rawkafka.Topic
	for _, v := range b.views {
		views = append(views, b.of(v, names))
	}
	return views, b.err
}

func TestCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Second)
		k := Known{"t", old}
		look := func(b *brokers) Look {
			t.Helper()
			l, err := c.Look(t.Context(), Query{Cluster: b, Known: []Known{k}})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		has, nothing := says(is("t", old, 1, 0)), says()
		all := &brokers{views: []View{has, has, has}}
		if l := look(all); l.Verdicts[k].State != Present || all.asked != 1 {
			t.Error("nothing is odd, and brokers are asked:", l, all.asked)
		}
		for range 10 { // one that lags isn't believed, however long that takes
			if l := look(&brokers{views: []View{nothing, has, nothing}}); l.Verdicts[k].State != Present || l.Topics["t"].ID != old {
				t.Error(l)
			}
			wait(time.Second)
		}
		if l := look(&brokers{views: []View{nothing, nothing}}); l.Verdicts[k].State != Doubted {
			t.Error(l)
		}
		look(all)
		wait(time.Hour)
		if l := look(&brokers{views: []View{nothing, nothing}}); l.Verdicts[k].State != Doubted {
			t.Error("what was seen in between is forgotten:", l)
		}
		wait(time.Second)
		if l := look(&brokers{views: []View{nothing, nothing}}); l.Verdicts[k].State != Gone || !errors.Is(l.Verdicts[k].Now.Err, kerr.UnknownTopicOrPartition) {
			t.Error(l)
		}
		young := says(is("t", young, 1, 0))
		if l := look(&brokers{views: []View{young, nothing}}); l.Verdicts[k].State != Replaced || l.Verdicts[k].Now.ID != young["t"].ID {
			t.Error(l)
		}
		if l := look(all); l.Verdicts[k].State != Present {
			t.Error(l)
		}
	})
}

// TestNew: what is new by one broker's word is what most say, and a cut has what any broker lists.
func TestNew(t *testing.T) {
	lagging := &brokers{views: []View{says(is("t", old, 1, 0)), says(is("t", young, 2, 0)), says(is("t", young, 2, 0), is("u", old, 1, 0))}}
	c := New(time.Second)
	l, err := c.Look(t.Context(), Query{Cluster: lagging})
	if err != nil || l.Topics["t"].ID != young || len(l.Topics) != 1 {
		t.Error(l, err)
	}
	l, err = c.Look(t.Context(), Query{Cluster: lagging, Everywhere: true})
	if err != nil || l.Topics["t"].ID != young || len(l.Topics) != 2 {
		t.Error(l, err)
	}
	l, err = c.Look(t.Context(), Query{Cluster: lagging, Only: []string{"u", "v"}, Known: []Known{{Name: "w"}}})
	if err != nil || l.Topics["u"].ID != old || !errors.Is(l.Topics["v"].Err, kerr.UnknownTopicOrPartition) || len(l.Topics) != 2 || l.Verdicts[Known{Name: "w"}].State != Doubted {
		t.Error(l, err)
	}
	if _, err := c.Look(t.Context(), Query{Cluster: &brokers{views: lagging.views, err: kerr.BrokerNotAvailable}}); !errors.Is(err, kerr.BrokerNotAvailable) {
		t.Error(err)
	}
}

// TestSettle: a job that ends waits until a topic is gone for certain, and for one that is being
// made, but not for ever.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brokers{views: []View{says(fails("new", kerr.LeaderNotAvailable))}}
		began := time.Now()
		time.AfterFunc(5*time.Second, func() { b.say(says(is("new", young, 1, 0))) })
		k := Known{"t", old}
		l, err := New(time.Second).Settle(t.Context(), Query{Cluster: b, Known: []Known{k}}, 30*time.Second)
		if took := time.Since(began); err != nil || l.Verdicts[k].State != Gone || l.Topics["new"].ID != young || took < 5*time.Second || took > 6*time.Second {
			t.Error(l, err, took)
		}
		b.say(says(is("new", young, 0, 0)))
		began = time.Now()
		l, err = New(time.Second).Settle(t.Context(), Query{Cluster: b}, 30*time.Second)
		if took := time.Since(began); err != nil || len(l.Topics["new"].Partitions) != 0 || took < 30*time.Second || took > 31*time.Second {
			t.Error(l, err, took)
		}
	})
}

// wait lets the bubble's clock run.
func wait(d time.Duration) { <-time.After(d) }
