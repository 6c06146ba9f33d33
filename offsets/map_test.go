package offsets

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sort"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

var testID = ID{"cluster", "orders", kadm.TopicID{1}, 3, "copy", kadm.TopicID{2}}

// testMap has records 10 to 14 and 20 to 22 of the source's 5 to 30 at 105 to 109 and 110 to 112 of
// the target's 100 to 120.
func testMap(t testing.TB) *Map {
	t.Helper()
	m, err := New(testID, 5, 100)
	if err := errors.Join(err, m.Append(10, 105, 5), m.Append(20, 110, 2), m.Append(22, 112, 1), m.Extend(30, 120)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTranslate(t *testing.T) {
	m := testMap(t)
	var none *Map
	for _, c := range []struct {
		m                *Map
		upstream, offset int64
		how              How
	}{
		{m, 0, 100, HowBeforeStart},
		{m, 4, 100, HowBeforeStart},
		{m, 5, 105, HowNext},
		{m, 9, 105, HowNext},
		{m, 10, 105, HowExact},
		{m, 14, 109, HowExact},
		{m, 15, 110, HowNext},
		{m, 22, 112, HowExact},
		{m, 23, 120, HowNext},
		{m, 29, 120, HowNext},
		{m, 30, 120, HowExact},
		{m, 31, 120, HowPastEnd},
		{m, math.MaxInt64, 120, HowPastEnd},
		{m, -1, -1, HowUnknown},
		{m, math.MinInt64, -1, HowUnknown},
		{new(Map), 0, -1, HowUnknown},
		{none, 0, -1, HowUnknown},
	} {
		if offset, how := c.m.Translate(c.upstream); offset != c.offset || how != c.how {
			t.Errorf("%d: %d %s, not %d %s", c.upstream, offset, how, c.offset, c.how)
		}
	}
}

func TestInverse(t *testing.T) {
	m := testMap(t)
	for _, c := range []struct {
		downstream, offset int64
		how                How
	}{
		{99, 5, HowBeforeStart},
		{100, 10, HowNext},
		{105, 10, HowExact},
		{109, 14, HowExact},
		{110, 20, HowExact},
		{113, 30, HowNext},
		{120, 30, HowExact},
		{121, 30, HowPastEnd},
		{-1, -1, HowUnknown},
	} {
		if offset, how := m.Inverse(c.downstream); offset != c.offset || how != c.how {
			t.Errorf("%d: %d %s, not %d %s", c.downstream, offset, how, c.offset, c.how)
		}
	}
}

// TestNoRecords: a map that was made knows its ends, though nothing was appended.
func TestNoRecords(t *testing.T) {
	m, err := New(testID, 5, 100)
	if err != nil {
		t.Fatal(err)
	}
	check := func(upstream, want int64, wantHow How) {
		t.Helper()
		if offset, how := m.Translate(upstream); offset != want || how != wantHow {
			t.Errorf("%d: %d %s, not %d %s", upstream, offset, how, want, wantHow)
		}
	}
	check(4, 100, HowBeforeStart)
	check(5, 100, HowExact)
	check(6, 100, HowPastEnd)
	if err := m.Extend(8, 101); err != nil {
		t.Fatal(err)
	}
	check(5, 101, HowNext)
	check(8, 101, HowExact)
}

func TestIdentity(t *testing.T) {
	m, err := Identity(testID, 7, math.MaxInt64)
	if err != nil || m.Len() != 1 {
		t.Fatal(err)
	}
	for _, x := range []int64{7, 8, 1e9, math.MaxInt64 - 1, math.MaxInt64} {
		if offset, how := m.Translate(x); offset != x || how != HowExact {
			t.Errorf("%d: %d %s", x, offset, how)
		}
		if offset, how := m.Inverse(x); offset != x || how != HowExact {
			t.Errorf("back from %d: %d %s", x, offset, how)
		}
	}
	if m, err = Identity(testID, 7, 7); err != nil || m.Len() != 0 || m.UpstreamEnd() != 7 {
		t.Error(m, err)
	}
}

// TestRefused: what can't be the next run is refused with its place, and nothing changes.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(m *Map) error
		index int
		run   Run
	}{
		"empty":                    {func(m *Map) error { return m.Append(30, 120, 0) }, 2, Run{30, 120, 0}},
		"negative length":          {func(m *Map) error { return m.Append(30, 120, -1) }, 2, Run{30, 120, -1}},
		"backwards at the source":  {func(m *Map) error { return m.Append(29, 120, 1) }, 2, Run{29, 120, 1}},
		"backwards in the target":  {func(m *Map) error { return m.Append(30, 119, 1) }, 2, Run{30, 119, 1}},
		"negative":                 {func(m *Map) error { return m.Append(-1, 120, 1) }, 2, Run{-1, 120, 1}},
		"overflow upstream":        {func(m *Map) error { return m.Append(math.MaxInt64-1, 120, 2) }, 2, Run{math.MaxInt64 - 1, 120, 2}},
		"overflow downstream":      {func(m *Map) error { return m.Append(30, math.MaxInt64, 1) }, 2, Run{30, math.MaxInt64, 1}},
		"end backwards":            {func(m *Map) error { return m.Extend(29, 120) }, 2, Run{29, 120, 0}},
		"target's end backwards":   {func(m *Map) error { return m.Extend(30, 119) }, 2, Run{30, 119, 0}},
		"zero map, append":         {func(*Map) error { return new(Map).Append(0, 0, 1) }, 0, Run{0, 0, 1}},
		"zero map, extend":         {func(*Map) error { return new(Map).Extend(1, 1) }, 0, Run{1, 1, 0}},
		"negative start":           {func(*Map) error { _, err := New(testID, -1, 0); return err }, -1, Run{-1, 0, 0}},
		"negative target's start":  {func(*Map) error { _, err := New(testID, 0, -1); return err }, -1, Run{0, -1, 0}},
		"negative partition":       {func(*Map) error { _, err := New(ID{Partition: -1}, 0, 0); return err }, -1, Run{}},
		"identity that ends early": {func(*Map) error { _, err := Identity(testID, 5, 4); return err }, 0, Run{5, 5, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := testMap(t)
			before, _ := m.MarshalBinary()
			var refused *MapError
			if err := c.do(m); !errors.As(err, &refused) || refused.Index != c.index || refused.Run != c.run || refused.Reason == "" {
				t.Fatalf("%#v", err)
			}
			if after, _ := m.MarshalBinary(); string(after) != string(before) {
				t.Error("the map is another")
			}
		})
	}
	err := testMap(t).Append(29, 120, 4)
	if want := "offsets: orders/3 at 29: run 2 (4 records to 120 of copy) after 30 and 120: goes backwards at the source"; err == nil || err.Error() != want {
		t.Error(err)
	}
}

// TestLastOffset: the largest offset can be an end, and nothing overflows on the way there.
func TestLastOffset(t *testing.T) {
	m, err := New(testID, 0, math.MaxInt64-3)
	if err := errors.Join(err, m.Append(math.MaxInt64-5, math.MaxInt64-3, 2), m.Extend(math.MaxInt64, math.MaxInt64)); err != nil {
		t.Fatal(err)
	}
	for x, want := range map[int64]int64{0: math.MaxInt64 - 3, math.MaxInt64 - 4: math.MaxInt64 - 2, math.MaxInt64 - 3: math.MaxInt64, math.MaxInt64: math.MaxInt64} {
		if offset, _ := m.Translate(x); offset != want {
			t.Errorf("%d: %d", x, offset)
		}
	}
	if err := m.Append(math.MaxInt64, math.MaxInt64, 1); err == nil {
		t.Error("appended behind the last offset")
	}
}

func TestFor(t *testing.T) {
	m := testMap(t)
	if err := m.For(testID); err != nil {
		t.Error(err)
	}
	for want, edit := range map[string]func(*ID){
		"source cluster (cluster, not )": func(id *ID) { id.SourceCluster = "" },
		"topic (orders, not o)":          func(id *ID) { id.Topic = "o" },
		"source topic ID (AQAAAAAAAAAAAAAAAAAAAA==, not BwAAAAAAAAAAAAAAAAAAAA==)": func(id *ID) { id.SourceTopicID[0] = 7 },
		"partition (3, not 4)":      func(id *ID) { id.Partition = 4 },
		"target topic (copy, not )": func(id *ID) { id.TargetTopic = "" },
		"target topic ID (AgAAAAAAAAAAAAAAAAAAAA==, not BwAAAAAAAAAAAAAAAAAAAA==)": func(id *ID) { id.TargetTopicID[0] = 7 },
	} {
		id := testID
		edit(&id)
		var other *IncarnationError
		if err := m.For(id); !errors.As(err, &other) || other.differs()[0] != want || len(other.differs()) != 1 {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestSearch holds what the index finds in maps of many runs against the standard library's search.
func TestSearch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	for range 30 {
		m, err := New(testID, r.Int64N(100), r.Int64N(100))
		spread := 1 + r.IntN(40)
		for range r.IntN(6000) {
			hole := r.Int64N(1 << r.IntN(spread))
			err = errors.Join(err, m.Append(m.UpstreamEnd()+hole, m.DownstreamEnd()+1+r.Int64N(1<<r.IntN(spread)), 1+r.Int64N(5)))
		}
		if err := errors.Join(err, m.Extend(m.UpstreamEnd()+1, m.DownstreamEnd()+1)); err != nil {
			t.Fatal(err)
		}
		for from := range downstream + 1 {
			xs := []int64{m.start[from], m.end[from]}
			for _, run := range m.runs {
				xs = append(xs, max(run[from]-1, m.start[from]), run[from], run[from]+1, m.start[from]+r.Int64N(m.end[from]-m.start[from]+1))
			}
			for _, x := range xs {
				want := sort.Search(len(m.runs), func(i int) bool { return m.runs[i][from] > x })
				if got := m.search(from, x); got != want {
					t.Fatalf("%d of side %d in %d runs: %d, not %d", x, from, m.Len(), got, want)
				}
			}
		}
	}
}

// TestMemory holds the bytes of a run, room for growth and indexes included,
// appended one by one and decoded, evenly and unevenly laid.
func TestMemory(t *testing.T) {
	const runs = 300_000
	for name, hole := range map[string]func(i int) int64{
		"even":   func(int) int64 { return 1 },
		"uneven": func(i int) int64 { return 1 + int64(i)*int64(i)%(1<<(i%40)) },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(testID, 0, 0)
			for i := range runs {
				err = errors.Join(err, m.Append(m.UpstreamEnd()+hole(i), m.DownstreamEnd()+1, 1))
			}
			if err != nil || m.Len() != runs {
				t.Fatal(m.Len(), err)
			}
			encoded, err := m.MarshalBinary()
			if err != nil || len(encoded) > 32*runs {
				t.Error("stored:", float64(len(encoded))/runs, "bytes a run", err)
			}
			if each := m.bytes() / runs; each > 32 {
				t.Error("appended:", each, "bytes a run")
			}
			before := inUse()
			var decoded Map
			if err := decoded.UnmarshalBinary(encoded); err != nil {
				t.Fatal(err)
			}
			if each := float64(inUse()-before) / runs; each > 32 || decoded.bytes()/runs > 32 {
				t.Error("decoded:", each, "bytes a run of the heap")
			}
			for _, ix := range append(m.index[:], decoded.index[:]...) {
				if name == "even" && len(ix.first) < runs/8 {
					t.Error(len(ix.first), "buckets for", runs, "runs")
				}
			}
			runtime.KeepAlive(encoded)
			runtime.KeepAlive(&decoded)
		})
	}
}

// bytes is what the runs take, with the room that isn't used yet.
func (m *Map) bytes() float64 {
	return float64(24*cap(m.runs) + 4*cap(m.index[upstream].first) + 4*cap(m.index[downstream].first))
}

func inUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
