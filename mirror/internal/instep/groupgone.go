package instep

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// goneAfter is how many complete lists of the source must lack a group: one whose coordinator moves
// may be in none of the brokers' lists for a moment.
const goneAfter = 3

// findGone looks for groups that the source has no more. They are asked for by name before it is
// believed.
func (r *round) findGone(ctx context.Context) {
	if !r.srcWhole {
		return
	}
	var names []string
	for name, st := range r.s.groups {
		if _, listed := r.src[name]; listed || r.seen[name] {
			continue
		}
		if st.missing++; st.missing >= goneAfter {
			names = append(names, name)
		}
	}
	fetchOffsets(ctx, r.s.cfg.Source, r.s.patience(), byBroker(names, r.src), false, func(name string, g *kmsg.OffsetFetchResponseGroup, _ int16, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err != nil:
			r.failed = append(r.failed, failure{name, err})
		case len(g.Topics) > 0:
			r.s.groups[name].missing = 0
		default:
			r.gone(name)
		}
	})
}

// gone forgets a group, or plans to delete it where nobody else has touched it.
func (r *round) gone(name string) {
	st := r.s.groups[name]
	_, there := r.dst[name]
	switch {
	case r.s.cfg.Gone == GoneKept, r.dstWhole && !there:
		r.forget(name)
	case st.diverged == "" && !r.dst[name].active():
		if w := r.want[name]; w == nil {
			r.want[name] = &wanted{}
		}
		r.want[name].gone = true
	}
}

func (r *round) forget(name string) {
	delete(r.s.groups, name)
	delete(r.want, name)
	r.s.notes.forget(name)
}
