package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/mirror"
)

// replication is the mirror between clusters, which runs in a process of its own: kdr mirror
// --clusters. It is asked by looking at the clusters, and told by the register: at a closing epoch
// that leaves its source it stops, and takes its flow's announcement back, which is how others know
// that it appends no more.
type replication struct {
	flow     flowSpec
	lease    time.Duration
	clusters []failover.Cluster
	config   mirror.Config // what all observations have
	takes    func(topic string) bool

	mu   sync.Mutex
	last map[[2]string]control.Lag
	// stopped are flows that were stopped by a switch, and have nothing announced any more.
	stopped map[[2]string]bool
	ids     map[string]string // cluster IDs, as they were seen
}

// poll is the time from one look to the next.
const poll = 250 * time.Millisecond

// quiet is how long a mirror's process that lives may need to see the closing epoch and to stop:
// when its flow stands so long with nothing appended, it is taken to be dead.
func quiet(lease time.Duration) time.Duration { return lease/5 + stopFor(lease) + time.Second }

// retireWithin is for the requests of a stop, beside the silence that it may have to wait for.
const retireWithin = 10 * time.Second

// stopFor is how long a mirror that follows the register may take to stop.
func stopFor(lease time.Duration) time.Duration { return min(lease, commitWithin) }

func (r *replication) opts(name string) []kgo.Opt {
	i := slices.IndexFunc(r.clusters, func(c failover.Cluster) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return r.clusters[i].Opts
}

// between is the configuration of the flow from one cluster to another.
func (r *replication) between(from, to string) mirror.Config {
	cfg := r.config
	cfg.Name, cfg.Source, cfg.Target = r.flow.Name, r.opts(from), r.opts(to)
	return cfg
}

// Lag is what the standby lacks now, or, where the source is away, what it lacked when this process
// last looked, or the mirror last noted it on the standby: the later of the two.
func (r *replication) Lag(ctx context.Context, from, to string) (control.Lag, error) {
	var last control.Lag
	var unknown error
	looked := make(chan struct{})
	go func() { // meanwhile: a source that is away may take all the time there is
		defer close(looked)
		last, unknown = r.lastLag(ctx, from, to)
	}()
	lag, err := r.measure(ctx, from, to)
	<-looked
	switch {
	case err == nil:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last[[2]string{from, to}] = lag
		return lag, nil
	case errors.Is(err, mirror.ErrNoFlow):
		return control.Lag{}, err
	case unknown != nil:
		return control.Lag{}, errors.Join(err, unknown)
	}
	return last, nil
}

// measure looks at both clusters. Of a flow that a switch has stopped nothing is announced any
// more, and nothing is under way: then the logs' ends say what is missing.
func (r *replication) measure(ctx context.Context, from, to string) (control.Lag, error) {
	at := time.Now()
	s, err := r.observe(ctx, from, to)
	r.mu.Lock()
	stopped := r.stopped[[2]string{from, to}]
	if err == nil {
		delete(r.stopped, [2]string{from, to}) // it goes on
		r.ids[from], r.ids[to] = s.SourceCluster, s.TargetCluster
	}
	r.mu.Unlock()
	switch {
	case err == nil:
		return lagOf(s, at), nil
	case stopped && errors.Is(err, mirror.ErrNoFlow):
		return r.endsApart(ctx, from, to, at)
	}
	return control.Lag{}, err
}

// endsApart is what the standby's logs lack at their ends.
func (r *replication) endsApart(ctx context.Context, from, to string, at time.Time) (control.Lag, error) {
	var source, standby map[string]map[int32]int64
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { source, err = r.ends(ctx, from); return err })
	g.Go(func() (err error) { standby, err = r.ends(ctx, to); return err })
	if err := g.Wait(); err != nil {
		return control.Lag{}, err
	}
	lag := control.Lag{At: at}
	for _, topic := range sortedKeys(source) {
		for _, p := range slices.Sorted(maps.Keys(source[topic])) {
			if n := source[topic][p] - standby[topic][p]; n > 0 {
				lag.Records += n
				lag.Partitions = append(lag.Partitions, control.PartitionLag{Topic: topic, Partition: p, Records: n})
			}
		}
	}
	return lag, nil
}

// observe looks at both clusters, and leaves a tenth of the time to whoever has to answer without.
func (r *replication) observe(ctx context.Context, from, to string) (*mirror.Status, error) {
	if end, ok := ctx.Deadline(); ok {
		within, cancel := context.WithDeadline(ctx, end.Add(-time.Until(end)/10))
		defer cancel()
		ctx = within
	}
	return mirror.Observe(ctx, r.between(from, to))
}

// errLagUnknown says that nothing is known of what a standby lacks.
var errLagUnknown = errors.New("what the standby lacks was never noted")

// lastLag is the last that is known without the source.
func (r *replication) lastLag(ctx context.Context, from, to string) (control.Lag, error) {
	last, ok := r.known(from, to)
	flows, err := r.flows(ctx, from, to)
	for _, f := range flows {
		if f.LastLag == nil {
			continue
		}
		if noted := notedLag(f.LastLag); !noted.At.IsZero() && noted.At.After(last.At) {
			last, ok = noted, true
		}
	}
	switch {
	case ok:
		return last, nil
	case err == nil:
		err = errLagUnknown
	}
	return control.Lag{}, err
}

// notedLag is as of when the source was last heard.
func notedLag(l *mirror.LastLag) control.Lag {
	lag := control.Lag{Records: l.Records, Unknown: l.Unknown + l.LeftOut, Age: control.Millis(time.Duration(l.AgeMillis) * time.Millisecond)}
	if l.SourceAgeMillis >= 0 {
		lag.At = l.At.Add(-time.Duration(l.SourceAgeMillis) * time.Millisecond)
	}
	for _, p := range l.Partitions {
		pl := control.PartitionLag{Topic: p.Topic, Partition: p.Partition, Records: p.Records}
		if p.AgeMillis > 0 {
			pl.Oldest = l.At.Add(-time.Duration(p.AgeMillis) * time.Millisecond)
		}
		lag.Partitions = append(lag.Partitions, pl)
	}
	slices.SortFunc(lag.Partitions, func(a, b control.PartitionLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return lag
}

// known is the last lag that was measured.
func (r *replication) known(from, to string) (control.Lag, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lag, ok := r.last[[2]string{from, to}]
	return lag, ok
}

// lagOf is a mirror's status as a lag. A topic that is left out isn't copied at all: of it nothing
// is known.
func lagOf(s *mirror.Status, at time.Time) control.Lag {
	lag := control.Lag{Records: s.RPO.Records, Unknown: s.RPO.Unknown + len(s.LeftOut), Age: control.Millis(time.Duration(s.RPO.AgeMillis) * time.Millisecond), At: at}
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			n := p.Missing()
			if n <= 0 {
				continue
			}
			pl := control.PartitionLag{Topic: t.Source, Partition: p.Partition, Records: n}
			if p.LagMillis > 0 {
				pl.Oldest = at.Add(-time.Duration(p.LagMillis) * time.Millisecond)
			}
			lag.Partitions = append(lag.Partitions, pl)
		}
	}
	return lag
}

// Drain waits until the standby has every record, and every committed offset where they are
// mirrored.
func (r *replication) Drain(ctx context.Context, from, to string) error {
	for {
		why, err := r.missing(ctx, from, to)
		if err == nil && why == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = errors.New(why)
			}
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(poll):
		}
	}
}

// missing says what the standby lacks, or nothing.
func (r *replication) missing(ctx context.Context, from, to string) (string, error) {
	s, err := mirror.Observe(ctx, r.between(from, to))
	if errors.Is(err, mirror.ErrNoFlow) { // the mirror has drained the source, and stopped
		return r.endsBehind(ctx, from, to)
	}
	if err != nil {
		return "", err
	}
	switch lag := lagOf(s, time.Now()); {
	case lag.Unknown > 0:
		return fmt.Sprintf("%d partitions or topics aren't mirrored: kdr status --clusters names them", lag.Unknown), nil
	case lag.Records > 0:
		return fmt.Sprintf("%d records aren't on %s yet", lag.Records, to), nil
	case r.flow.SkipGroups:
		return "", nil
	}
	return groupsBehind(ctx, r.opts(from), r.opts(to), r.takes)
}

// endsBehind says which partition ends earlier on the standby, where no flow is announced.
func (r *replication) endsBehind(ctx context.Context, from, to string) (string, error) {
	want, err := r.ends(ctx, from)
	if err != nil {
		return "", err
	}
	got, err := r.ends(ctx, to)
	if err != nil {
		return "", err
	}
	for topic, ends := range want {
		for p, end := range ends {
			if got[topic][p] < end {
				return fmt.Sprintf("no mirror from %s to %s is announced, and %s/%d ends at %d, not %d", from, to, topic, p, got[topic][p], end), nil
			}
		}
	}
	if r.flow.SkipGroups {
		return "", nil
	}
	return groupsBehind(ctx, r.opts(from), r.opts(to), r.takes)
}

// groupsBehind says which group's committed offset is lower on the standby than at the source.
// Groups with members on the standby are theirs.
func groupsBehind(ctx context.Context, from, to []kgo.Opt, takes func(string) bool) (string, error) {
	source, err := kgo.NewClient(from...)
	if err != nil {
		return "", err
	}
	defer source.Close()
	standby, err := kgo.NewClient(to...)
	if err != nil {
		return "", err
	}
	defer standby.Close()
	groups, err := kadm.NewClient(source).DescribeGroups(ctx)
	if err != nil || len(groups) == 0 {
		return "", err
	}
	there, err := kadm.NewClient(standby).DescribeGroups(ctx, groups.Names()...)
	if err != nil {
		return "", err
	}
	want := kadm.NewClient(source).FetchManyOffsets(ctx, groups.Names()...)
	got := kadm.NewClient(standby).FetchManyOffsets(ctx, groups.Names()...)
	if err := errors.Join(want.Error(), got.Error()); err != nil {
		return "", err
	}
	for _, group := range groups.Names() {
		if len(there[group].Members) > 0 {
			continue
		}
		for topic, ps := range want[group].Fetched {
			for p, o := range ps {
				if o.At < 0 || !takes(topic) {
					continue
				}
				if g, ok := got[group].Fetched.Lookup(topic, p); !ok || g.At < o.At {
					return fmt.Sprintf("group %s has committed %d of %s/%d, which isn't on the standby yet", quote.Name(group), o.At, quote.Name(topic), p), nil
				}
			}
		}
	}
	return "", nil
}

// Stop waits until the mirror's process has taken its flow back. One that is dead can't: when
// nothing has been appended for as long as a living one may need, the flow is retired here.
func (r *replication) Stop(ctx context.Context, from, to string) error {
	err := r.stop(ctx, from, to)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stopped[[2]string{from, to}] = true
	}
	return err
}

func (r *replication) stop(ctx context.Context, from, to string) error {
	still := time.Now()
	var ends map[string]map[int32]int64
	for {
		flows, err := r.flows(ctx, from, to)
		if err == nil && len(flows) == 0 || errors.Is(err, kerr.TopicAuthorizationFailed) {
			return err
		}
		if now, err := r.ends(ctx, to); err == nil && !equalEnds(ends, now) {
			ends, still = now, time.Now()
		}
		if err == nil && time.Since(still) > quiet(r.lease) {
			return r.retire(ctx, to, flows)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the mirror has not stopped: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(poll):
		}
	}
}

func (r *replication) retire(ctx context.Context, to string, flows []mirror.Flow) error {
	for _, f := range flows {
		if err := mirror.RetireFrom(ctx, r.between(to, to), f.Source); err != nil && !errors.Is(err, mirror.ErrNoFlow) {
			return err
		}
	}
	select { // one that lives all the same sees that and stops at once
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Second):
		return nil
	}
}

// flows are the scope's on the standby: those of its name, from its source where that one's ID is
// known.
func (r *replication) flows(ctx context.Context, from, to string) ([]mirror.Flow, error) {
	flows, err := mirror.Announced(ctx, r.between(from, to))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	id := r.ids[from]
	r.mu.Unlock()
	if id == "" && len(r.clusters) > 2 && len(flows) > 0 {
		return nil, fmt.Errorf("which flow to %s is %s's can't be told while that is away: give its id in the clusters file", to, from)
	}
	return slices.DeleteFunc(flows, func(f mirror.Flow) bool { return f.Name != r.flow.Name || id != "" && f.Source != id }), nil
}

// ends are the log ends of the scope's topics on a cluster.
func (r *replication) ends(ctx context.Context, cluster string) (map[string]map[int32]int64, error) {
	cl, err := kgo.NewClient(r.opts(cluster)...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListEndOffsets(ctx)
	if err != nil {
		return nil, err
	}
	ends := make(map[string]map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil || !r.takes(o.Topic) {
			return
		}
		if ends[o.Topic] == nil {
			ends[o.Topic] = make(map[int32]int64)
		}
		ends[o.Topic][o.Partition] = o.Offset
	})
	return ends, nil
}

// equalEnds says that nothing of b is news.
func equalEnds(a, b map[string]map[int32]int64) bool {
	for topic, ends := range b {
		for p, end := range ends {
			if was, ok := a[topic][p]; !ok || was != end {
				return false
			}
		}
	}
	return true
}

// Resume waits until the mirror has announced its flow again: its process goes on by itself when
// the register is back at its source.
func (r *replication) Resume(ctx context.Context, from, to string) error {
	for {
		flows, err := r.flows(ctx, from, to)
		if err == nil && len(flows) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kdr mirror --clusters isn't running, or hasn't gone on yet: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(poll):
		}
	}
}
