package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// same fails the test unless the standby has, within a time, all that the source had up to its last
// stable offsets when same was called: each partition's records by offset, at both isolation
// levels. The load may go on: what moves meanwhile (a compacted log, a log start) counts as far as
// it can be told.
func (l *faultLoad) same(standby testkafka.Cluster, prefix string, within time.Duration) {
	l.Helper()
	l.compare(standby, prefix, within, false, false, true)
}

// settled ends the load and fails the test unless the standby becomes equal to the source to its
// very end.
func (l *faultLoad) settled(standby testkafka.Cluster, prefix string, within time.Duration) {
	l.Helper()
	l.finish()
	l.compare(standby, prefix, within, true, false, true)
}

// compare reads the standby at the isolation levels: uncommitted or not.
func (l *faultLoad) compare(standby testkafka.Cluster, prefix string, within time.Duration, still bool, levels ...bool) {
	l.Helper()
	began := time.Now()
	want := l.capture()
	captured := time.Now()
	adm := freshAdmin(l, standby)
	cuts := want.Cuts()
	testkafka.Eventually(l, within, func(ctx context.Context) error { return reached(ctx, adm, prefix, cuts, still) })
	there := time.Now()
	if l.ahead != nil {
		testkafka.Eventually(l, time.Minute, func(ctx context.Context) error {
			_, err := l.ahead.look(ctx)
			return err
		})
	}
	if still {
		testkafka.Eventually(l, within, func(ctx context.Context) error { return sameStarts(ctx, l.adm, adm, prefix, l.names()) })
		want = l.capture() // the log start may have moved
		cuts = nil
	}
	for _, uncommitted := range levels {
		got := readPrefixed(l, standby, prefix, l.names(), cuts, uncommitted)
		for _, d := range l.differences(want, got, still) {
			l.Errorf("uncommitted %t: %s", uncommitted, d)
		}
	}
	l.Logf("read the source in %v, %d records; the standby had them after %v; compared in %v", captured.Sub(began).Round(time.Millisecond), want.Len(),
		there.Sub(captured).Round(time.Millisecond), time.Since(there).Round(time.Millisecond))
	if l.Failed() {
		l.FailNow()
	}
}

// capture reads the source up to its last stable offsets.
func (l *faultLoad) capture() (want *testkafka.Content) {
	l.Helper()
	testkafka.Eventually(l, time.Minute, func(ctx context.Context) (err error) {
		want, err = testkafka.Capture(ctx, l.kafka.Opts(), l.names(), nil)
		return err
	})
	return want
}

// readPrefixed reads the standby's copies, under the source's names.
func readPrefixed(t testing.TB, standby testkafka.Cluster, prefix string, names []string, cuts testkafka.Cuts, uncommitted bool) (got *testkafka.Content) {
	t.Helper()
	spec := testkafka.ReadSpec{Opts: standby.Opts(), Uncommitted: uncommitted, Cuts: testkafka.Cuts{}}
	for _, n := range names {
		spec.Topics = append(spec.Topics, prefix+n)
	}
	for n, c := range cuts {
		spec.Cuts[prefix+n] = c
	}
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) (err error) {
		got, err = spec.Read(ctx)
		return err
	})
	return got.Rename(func(n string) string { return strings.TrimPrefix(n, prefix) })
}

// freshAdmin asks for topics and leaders anew each time, or nearly.
func freshAdmin(t testing.TB, c testkafka.Cluster) *kadm.Client {
	t.Helper()
	return kadm.NewClient(testkafka.Client(t, c, kgo.MetadataMinAge(50*time.Millisecond)))
}

// reached is an error while the standby's high watermarks are below the cuts, or with exactly,
// while they differ.
func reached(ctx context.Context, adm *kadm.Client, prefix string, cuts testkafka.Cuts, exactly bool) error {
	var names []string
	for n := range cuts {
		names = append(names, prefix+n)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err := errors.Join(err, ends.Error()); err != nil {
		return err
	}
	var missing []string
	for n, ps := range cuts {
		for p, cut := range ps {
			if o, _ := ends.Lookup(prefix+n, p); o.Offset < cut || exactly && o.Offset > cut {
				missing = append(missing, fmt.Sprintf("%s/%d is at %d, want %d", prefix+n, p, o.Offset, cut))
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}

// sameStarts is an error while log starts differ.
func sameStarts(ctx context.Context, source, standby *kadm.Client, prefix string, names []string) error {
	want, err := source.ListStartOffsets(ctx, names...)
	if err := errors.Join(err, want.Error()); err != nil {
		return err
	}
	for _, n := range names {
		got, err := standby.ListStartOffsets(ctx, prefix+n)
		if err := errors.Join(err, got.Error()); err != nil {
			return err
		}
		for p, w := range want[n] {
			if g, _ := got.Lookup(prefix+n, p); g.Offset != w.Offset {
				return fmt.Errorf("%s/%d starts at %d, want %d", prefix+n, p, g.Offset, w.Offset)
			}
		}
	}
	return nil
}

// differences lists how the standby differs from the source. Records that the cleaner has taken on
// one side only are none, where a later one of their key is on both; and unless all is still,
// records that a moved log start has taken.
func (l *faultLoad) differences(want, got *testkafka.Content, still bool) (lines []string) {
	for _, topic := range l.topics {
		w, g := want.Topics[topic.name], got.Topics[topic.name]
		for _, p := range slices.Sorted(maps.Keys(w)) {
			if g[p] == nil {
				lines = append(lines, fmt.Sprintf("%s/%d: not there", topic.name, p))
				continue
			}
			wp, gp := *w[p], *g[p]
			if topic.trimmed && !still {
				cutStart(&wp, &gp)
			}
			if topic.compacted {
				lines = append(lines, cleanedDifferences(topic.name, &wp, &gp, still)...)
				if wp.Start != gp.Start || wp.End != gp.End {
					lines = append(lines, fmt.Sprintf("%s/%d is [%d, %d), want [%d, %d)", topic.name, p, gp.Start, gp.End, wp.Start, wp.End))
				}
				continue
			}
			one := func(part *testkafka.Partition) *testkafka.Content {
				return &testkafka.Content{Topics: map[string]map[int32]*testkafka.Partition{topic.name: {p: part}}}
			}
			lines = append(lines, testkafka.Equal(one(&wp), one(&gp))...)
		}
	}
	return lines
}

// cutStart leaves of both what is behind the later log start.
func cutStart(a, b *testkafka.Partition) {
	start := max(a.Start, b.Start)
	for _, p := range []*testkafka.Partition{a, b} {
		p.Start = start
		p.Records = slices.DeleteFunc(slices.Clone(p.Records), func(r testkafka.Record) bool { return r.Offset < start })
	}
}

// cleanedDifferences compares two logs that were cleaned at different times: what both hold at an
// offset is equal; and once all is still, what only one holds has a successor on the other.
func cleanedDifferences(name string, want, got *testkafka.Partition, still bool) (lines []string) {
	w, g := byOffset(want), byOffset(got)
	for o, r := range g {
		if s, ok := w[o]; ok && s != r {
			lines = append(lines, fmt.Sprintf("%s at %d: %+v, want %+v", name, o, r, s))
		}
	}
	if !still {
		return lines
	}
	for side, pair := range map[string][2]*testkafka.Partition{"the standby's": {got, want}, "the source's": {want, got}} {
		last := map[uint64]int64{}
		for _, r := range pair[1].Records {
			last[r.Key] = r.Offset
		}
		there := byOffset(pair[1])
		for _, r := range pair[0].Records {
			if _, ok := there[r.Offset]; !ok && last[r.Key] <= r.Offset {
				lines = append(lines, fmt.Sprintf("%s at %d: only %s, and nothing of its key behind it", name, r.Offset, side))
			}
		}
	}
	return lines
}

func byOffset(p *testkafka.Partition) map[int64]testkafka.Record {
	m := make(map[int64]testkafka.Record, len(p.Records))
	for _, r := range p.Records {
		m[r.Offset] = r
	}
	return m
}

// groupInStep fails the test unless the standby's group gets the offsets of the source's. Call it
// when the load has ended.
func (l *faultLoad) groupInStep(standby testkafka.Cluster) {
	l.Helper()
	want, err := l.adm.FetchOffsets(l.Context(), l.group())
	if err != nil || len(want) == 0 {
		l.Fatalf("the source's group: %v, %v", want, err)
	}
	adm := kadm.NewClient(testkafka.Client(l, standby))
	testkafka.Eventually(l, time.Minute, func(ctx context.Context) error {
		got, err := adm.FetchOffsets(ctx, l.group())
		if err != nil {
			return err
		}
		for topic, ps := range want {
			for p, w := range ps {
				if g, ok := got.Lookup(topic, p); !ok || g.At != w.At {
					return fmt.Errorf("%s on %s/%d is at %d, want %d", l.group(), topic, p, g.At, w.At)
				}
			}
		}
		return nil
	})
}
