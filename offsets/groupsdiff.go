package offsets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// GroupsDiff is how two captures differ: of one cluster at two times, or of two clusters. It prints
// and marshals.
type GroupsDiff struct {
	A      string      `json:"a_cluster_id"`
	B      string      `json:"b_cluster_id"`
	Groups []GroupDiff `json:"groups"`
}

// GroupDiff is how a group differs.
type GroupDiff struct {
	Group string `json:"group"`
	// Change is added (only in b, or absent in a), removed (only in a, or absent in b) or changed.
	Change  string       `json:"change"`
	Offsets []OffsetDiff `json:"offsets"`
}

// OffsetDiff is how a partition's committed offset differs; nil is none.
type OffsetDiff struct {
	Topic     string     `json:"topic"`
	Partition int32      `json:"partition"`
	A         *Committed `json:"a"`
	B         *Committed `json:"b"`
	// Recreated: both are of one cluster and of two topics of the name.
	Recreated bool `json:"recreated,omitempty"`
}

// Empty says that there is no difference.
func (d *GroupsDiff) Empty() bool { return len(d.Groups) == 0 }

// Diff compares what groups have committed, by their and the topics' names: offset and metadata,
// and for captures of one cluster the topic's ID. Leader epochs, states and types are no
// difference. Absent groups count as not there.
func Diff(a, b *Groups) *GroupsDiff {
	d := &GroupsDiff{A: a.ClusterID, B: b.ClusterID, Groups: []GroupDiff{}}
	ga, gb := a.present(), b.present()
	names := make([]string, 0, len(ga)+len(gb))
	for name := range ga {
		names = append(names, name)
	}
	for name := range gb {
		if _, both := ga[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x, inA := ga[name]
		y, inB := gb[name]
		gd := GroupDiff{Group: name, Change: "changed", Offsets: diffOffsets(x, y, a.ClusterID == b.ClusterID)}
		switch {
		case !inA:
			gd.Change = "added"
		case !inB:
			gd.Change = "removed"
		case len(gd.Offsets) == 0:
			continue
		}
		d.Groups = append(d.Groups, gd)
	}
	return d
}

// present are the groups that are there.
func (g *Groups) present() map[string][]Committed {
	groups := make(map[string][]Committed, len(g.Groups))
	for i := range g.Groups {
		if g.Groups[i].AbsentSince.IsZero() {
			groups[g.Groups[i].Group] = g.Groups[i].Offsets
		}
	}
	return groups
}

func diffOffsets(a, b []Committed, oneCluster bool) []OffsetDiff {
	pairs := map[place]*OffsetDiff{}
	pair := func(c *Committed) *OffsetDiff {
		if pairs[c.place()] == nil {
			pairs[c.place()] = &OffsetDiff{Topic: c.Topic, Partition: c.Partition}
		}
		return pairs[c.place()]
	}
	for i := range a {
		pair(&a[i]).A = &a[i]
	}
	for i := range b {
		pair(&b[i]).B = &b[i]
	}
	diffs := []OffsetDiff{}
	for _, p := range pairs {
		p.Recreated = oneCluster && p.A != nil && p.B != nil && p.A.TopicID != p.B.TopicID
		if !p.A.equal(p.B) || p.Recreated {
			diffs = append(diffs, *p)
		}
	}
	slices.SortFunc(diffs, func(x, y OffsetDiff) int {
		return cmp.Or(strings.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return diffs
}

// String is the difference as text for people, a line for each offset.
func (d *GroupsDiff) String() string {
	var b strings.Builder
	for _, g := range d.Groups {
		fmt.Fprintf(&b, "%s group %s\n", g.Change, quote.Name(g.Group))
		for _, o := range g.Offsets {
			fmt.Fprintf(&b, "  %s/%d: %s -> %s", quote.Name(o.Topic), o.Partition, o.A.text(), o.B.text())
			if o.Recreated {
				b.WriteString(", of a topic that was created again")
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (c *Committed) text() string {
	switch {
	case c == nil:
		return "nothing"
	case c.metadata() != "":
		return fmt.Sprintf("%d %q", c.Offset, c.metadata())
	}
	return fmt.Sprint(c.Offset)
}
