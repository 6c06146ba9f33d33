package instep

import (
	"slices"
	"strings"
)

// GroupCommit is one offset to commit on the standby.
type GroupCommit struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Metadata  *string `json:"metadata"`
}

// GroupChange is what is to change for one group.
type GroupChange struct {
	Group string `json:"group"`
	// Commits are offsets to commit. Refresh says that all are, changed or not, so that they don't
	// expire.
	Commits []GroupCommit `json:"commits,omitempty"`
	Refresh bool          `json:"refresh,omitempty"`
	// Forget are partitions whose offsets the source has no more; Delete says that it hasn't the
	// group.
	Forget []GroupCommit `json:"forget,omitempty"`
	Delete bool          `json:"delete,omitempty"`

	commits, forget marks
	state           *groupState
}

// GroupsPlan is what is to change, in the order of the groups' names.
type GroupsPlan struct {
	Changes []GroupChange `json:"changes,omitempty"`
}

func (p *GroupsPlan) add(c GroupChange) {
	c.Commits, c.Forget = commitsOf(c.commits), commitsOf(c.forget)
	p.Changes = append(p.Changes, c)
}

func (p *GroupsPlan) sort() {
	slices.SortFunc(p.Changes, func(a, b GroupChange) int { return strings.Compare(a.Group, b.Group) })
}

func commitsOf(ms marks) []GroupCommit {
	var cs []GroupCommit
	for _, m := range ms {
		cs = append(cs, GroupCommit{m.topic, m.partition, m.offset, m.meta})
	}
	return cs
}

// change is what a group needs whose offsets on the standby are known.
func (ix *index) change(name string, st *groupState, want marks, whole, refresh bool, gone Gone) (GroupChange, bool) {
	c := GroupChange{Group: name, state: st, Refresh: refresh, commits: want.differing(st.have)}
	if refresh {
		c.commits = want.with(ix.held(st.have, want))
	}
	if whole && gone == GoneDeleted {
		c.forget = ix.forgotten(st.have, want)
	}
	return c, len(c.commits) > 0 || len(c.forget) > 0
}

// held are marks of partitions that aren't copied now: they stay, and mustn't expire.
func (ix *index) held(have, want marks) marks {
	var held marks
	for _, m := range have {
		if _, ok := want.find(m); ok {
			continue
		}
		if t := ix.byTarget[m.topic]; t != nil {
			if _, copied := t.copied(m.partition); !copied {
				held = append(held, m)
			}
		}
	}
	return held
}

// forgotten are marks of partitions that are copied and that the source's group has no offset for.
func (ix *index) forgotten(have, want marks) marks {
	var gone marks
	for _, m := range have {
		if _, ok := want.find(m); ok {
			continue
		}
		if t := ix.byTarget[m.topic]; t != nil {
			if _, copied := t.copied(m.partition); copied {
				gone = append(gone, m)
			}
		}
	}
	return gone
}
