package testkafka

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// Comparison says what counts when two contents are compared. The zero value compares log start,
// end, and each record's offset, timestamp, key, value and headers.
type Comparison struct {
	// TimestampType compares it as well. An exact copy can't keep it.
	TimestampType bool
	// HeaderText compares headers only as kcat prints them.
	HeaderText bool
	// Most bounds the differences that are listed. Default 20.
	Most int
}

// Equal lists how got differs from want, a line each; empty where they are equal.
func Equal(want, got *Content) []string { return Comparison{}.Equal(want, got) }

// Diff reads the target at read_committed and at read_uncommitted, to its very end, and lists how
// it differs from the source, read at read_committed up to src.Cuts. Topics of the target that
// dst.Topics doesn't name are left out; nil means the source's topics.
func Diff(t testing.TB, src, dst ReadSpec) []string {
	t.Helper()
	want, err := src.Read(t.Context())
	if err != nil {
		t.Fatalf("testkafka: read the source: %v", err)
	}
	return DiffContent(t, want, dst)
}

// DiffContent is [Diff] with a source that was read earlier.
func DiffContent(t testing.TB, want *Content, dst ReadSpec) []string {
	t.Helper()
	if dst.Topics == nil {
		dst.Topics = slices.Sorted(maps.Keys(want.Topics))
	}
	var out []string
	for _, level := range []string{"read_committed", "read_uncommitted"} {
		dst.Uncommitted = level == "read_uncommitted"
		got, err := dst.Read(t.Context())
		if err != nil {
			return append(out, fmt.Sprintf("at %s: %v", level, err))
		}
		for _, d := range Equal(want, got) {
			out = append(out, "at "+level+": "+d)
		}
	}
	return out
}

// Equal lists how got differs from want.
func (c Comparison) Equal(want, got *Content) []string {
	if c.Most == 0 {
		c.Most = 20
	}
	d := &differences{Comparison: c}
	for _, t := range union(want.Topics, got.Topics) {
		w, g := want.Topics[t], got.Topics[t]
		for _, p := range union(w, g) {
			d.partition(fmt.Sprintf("%s/%d", t, p), w[p], g[p])
		}
	}
	if d.n > c.Most {
		d.lines = append(d.lines, fmt.Sprintf("… %d more", d.n-c.Most))
	}
	return d.lines
}

type differences struct {
	Comparison
	lines []string
	n     int
}

func (d *differences) add(format string, args ...any) {
	d.n++
	if d.n <= d.Most {
		d.lines = append(d.lines, fmt.Sprintf(format, args...))
	}
}

func (d *differences) partition(name string, want, got *Partition) {
	if want == nil || got == nil {
		d.add("%s: wanted: %t, there: %t", name, want != nil, got != nil)
		return
	}
	if want.Start != got.Start {
		d.add("%s: log start offset is %d, want %d", name, got.Start, want.Start)
	}
	if want.End != got.End {
		d.add("%s: end offset is %d, want %d", name, got.End, want.End)
	}
	w, g := want.Records, got.Records
	last := int64(-1)
	for len(w) > 0 || len(g) > 0 {
		switch {
		case len(g) > 0 && g[0].Offset <= last:
			d.add("%s at %d: read after %d", name, g[0].Offset, last)
			g = g[1:]
		case len(w) == 0 || len(g) > 0 && g[0].Offset < w[0].Offset:
			d.add("%s at %d: a record that isn't wanted", name, g[0].Offset)
			last, g = g[0].Offset, g[1:]
		case len(g) == 0 || w[0].Offset < g[0].Offset:
			d.add("%s at %d: no record", name, w[0].Offset)
			w = w[1:]
		default:
			d.record(name, w[0], g[0])
			last, w, g = g[0].Offset, w[1:], g[1:]
		}
	}
}

func (d *differences) record(name string, want, got Record) {
	if want.Timestamp != got.Timestamp {
		d.add("%s at %d: timestamp is %d, want %d", name, want.Offset, got.Timestamp, want.Timestamp)
	}
	if d.TimestampType && want.TimestampType != got.TimestampType {
		d.add("%s at %d: timestamp type is %d, want %d", name, want.Offset, got.TimestampType, want.TimestampType)
	}
	if want.Key != got.Key {
		d.add("%s at %d: key has digest %016x, want %016x", name, want.Offset, got.Key, want.Key)
	}
	if want.Value != got.Value {
		d.add("%s at %d: value has digest %016x, want %016x", name, want.Offset, got.Value, want.Value)
	}
	if d.HeaderText && want.HeaderText != got.HeaderText {
		d.add("%s at %d: headers as text have digest %016x, want %016x", name, want.Offset, got.HeaderText, want.HeaderText)
	}
	if !d.HeaderText && want.Headers != got.Headers {
		d.add("%s at %d: headers have digest %016x, want %016x", name, want.Offset, got.Headers, want.Headers)
	}
}

func union[K ~string | ~int32, V any](a, b map[K]V) []K {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
