package testkafka

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var pool Pool

func TestMain(m *testing.M) { os.Exit(pool.Run(m.Run)) }

func TestHardFake(t *testing.T) { checkHard(t, Fake(t, Options{})) }

func TestHardReal(t *testing.T) { checkHard(t, pool.Real(t, Options{})) }

// checkHard loads all topics, reads them in every way, and looks for what makes them hard.
func checkHard(t *testing.T, cl Cluster) {
	topics := Load(t, cl, Hard{Seed: 7, ManyPartitions: 50})
	src := ReadSpec{Opts: cl.Opts(), Topics: Names(topics)}
	committed, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	src.Uncommitted = true
	all, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		c, u := committed.Topics[topic.Name], all.Topics[topic.Name]
		if len(c) != int(topic.Partitions) {
			t.Errorf("%s: %d partitions, want %d", topic.Name, len(c), topic.Partitions)
		}
		if check := hardChecks[topic.Kind]; check != nil {
			check(t, topic, c[0], u[0])
		}
	}
	for _, isolation := range []string{"read_committed", "read_uncommitted"} {
		want := map[string]*Content{"read_committed": committed, "read_uncommitted": all}[isolation]
		for _, d := range (Comparison{HeaderText: true}).Equal(want, Kcat(t, cl, want, isolation)) {
			t.Errorf("kcat at %s: %s", isolation, d)
		}
	}
}

var hardChecks = map[string]func(*testing.T, Topic, *Partition, *Partition){
	"transactions": func(t *testing.T, topic Topic, c, u *Partition) {
		if len(c.Records) >= len(u.Records) || c.End != u.End || int64(len(u.Records)) >= u.End {
			t.Errorf("%s: %d committed of %d records, ends %d and %d: want fewer, equal ends, and markers", topic.Name, len(c.Records), len(u.Records), c.End, u.End)
		}
	},
	"open": func(t *testing.T, topic Topic, c, u *Partition) {
		if c.End >= u.End || !topic.Open {
			t.Errorf("%s: last stable offset %d, end %d: want less", topic.Name, c.End, u.End)
		}
	},
	"compacted": func(t *testing.T, topic Topic, c, _ *Partition) {
		if got := c.Records[0].Offset; got != 3 {
			t.Errorf("%s: the first record is at %d, want 3", topic.Name, got)
		}
	},
	"retention": func(t *testing.T, topic Topic, c, _ *Partition) {
		if c.Start == 0 || len(c.Records) == 0 {
			t.Errorf("%s: starts at %d with %d records", topic.Name, c.Start, len(c.Records))
		}
	},
	"deleted": func(t *testing.T, topic Topic, c, _ *Partition) {
		if want := map[string]int64{"hard.deleted": 25, "hard.deleted-all": 50}[topic.Name]; c.Start != want || int64(len(c.Records)) != 50-want {
			t.Errorf("%s: starts at %d with %d records, want %d", topic.Name, c.Start, len(c.Records), want)
		}
	},
	"batches": func(t *testing.T, topic Topic, c, _ *Partition) {
		if len(c.Records) != 8005+7 {
			t.Errorf("%s: %d records", topic.Name, len(c.Records))
		}
	},
}

func TestLoadIsDeterministic(t *testing.T) {
	only := []string{"codecs", "batches", "headers", "transactions", "case"}
	var contents []*Content
	for range 2 {
		cl := Fake(t, Options{})
		topics := Load(t, cl, Hard{Seed: 3, Only: only})
		c, err := Capture(t.Context(), cl.Opts(), Names(topics), nil)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, c)
	}
	if d := Equal(contents[0], contents[1]); len(d) > 0 {
		t.Errorf("the same seed makes other records:\n%s", strings.Join(d, "\n"))
	}
}

func TestEqualFindsDifferences(t *testing.T) {
	base := func() *Content {
		return &Content{Topics: map[string]map[int32]*Partition{"t": {0: {Start: 1, End: 9,
			Records: []Record{{Offset: 1, Key: 1}, {Offset: 4, Value: 2}, {Offset: 8, Timestamp: 3}}}}}}
	}
	for name, c := range map[string]struct {
		change func(*Partition)
		want   []string
	}{
		"nothing":   {func(*Partition) {}, nil},
		"lost":      {func(p *Partition) { p.Records = slices.Delete(p.Records, 1, 2) }, []string{"t/0 at 4: no record"}},
		"lost tail": {func(p *Partition) { p.Records = p.Records[:2] }, []string{"t/0 at 8: no record"}},
		"added":     {func(p *Partition) { p.Records = slices.Insert(p.Records, 1, Record{Offset: 2}) }, []string{"t/0 at 2: a record that isn't wanted"}},
		"doubled":   {func(p *Partition) { p.Records = slices.Insert(p.Records, 1, p.Records[0]) }, []string{"t/0 at 1: read after 1"}},
		"moved":     {func(p *Partition) { p.Records[1].Offset = 5 }, []string{"t/0 at 4: no record", "t/0 at 5: a record that isn't wanted"}},
		"time":      {func(p *Partition) { p.Records[2].Timestamp = 4 }, []string{"t/0 at 8: timestamp is 4, want 3"}},
		"key":       {func(p *Partition) { p.Records[0].Key = 2 }, []string{"t/0 at 1: key has digest 0000000000000002, want 0000000000000001"}},
		"headers":   {func(p *Partition) { p.Records[0].Headers = 2 }, []string{"t/0 at 1: headers have digest 0000000000000002, want 0000000000000000"}},
		"start":     {func(p *Partition) { p.Start = 0 }, []string{"t/0: log start offset is 0, want 1"}},
		"end":       {func(p *Partition) { p.End = 10 }, []string{"t/0: end offset is 10, want 9"}},
	} {
		got := base()
		c.change(got.Topics["t"][0])
		if diff := cmp.Diff(c.want, Equal(base(), got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"t/0: wanted: true, there: false"}, Equal(base(), &Content{})); diff != "" {
		t.Errorf("missing topic (-want +got):\n%s", diff)
	}
}

func TestDiff(t *testing.T) {
	cl := Fake(t, Options{})
	Load(t, cl, Hard{Only: []string{"case", "transactions"}})
	spec := ReadSpec{Opts: cl.Opts(), Topics: []string{"orders", "Orders"}}
	if d := Diff(t, spec, spec); len(d) > 0 {
		t.Errorf("a cluster differs from itself:\n%s", strings.Join(d, "\n"))
	}
	spec.Topics = []string{"hard.transactions"} // aborted records show at read_uncommitted
	if d := Diff(t, spec, spec); len(d) == 0 || !strings.HasPrefix(d[0], "at read_uncommitted: hard.transactions/") {
		t.Errorf("aborted records of the target aren't a difference: %q", d)
	}
}

func TestContentIsJSON(t *testing.T) {
	cl := Fake(t, Options{})
	topics := Load(t, cl, Hard{Only: []string{"headers"}})
	c, err := Capture(t.Context(), cl.Opts(), Names(topics), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Content
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if d := Equal(c, &back); len(d) > 0 {
		t.Error(d)
	}
}
