package drilltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/mirror"
)

// Mirror is a mirror between two clusters, as failover wants it: a [control.Replication] and a
// [control.Resumer]. It may be used by several goroutines.
type Mirror struct {
	from, to string
	cfg      mirror.Config

	mu sync.Mutex
	*life
}

// life is a mirror from its start to its end.
type life struct {
	run    *mirror.Mirror
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run has returned err
	err    error
}

// StartMirror starts a mirror from one cluster to another, by the names that the register has for
// them. Close ends it.
func StartMirror(from, to string, cfg mirror.Config) (*Mirror, error) {
	m := &Mirror{from: from, to: to, cfg: cfg}
	return m, m.start()
}

func (m *Mirror) start() error {
	run, err := mirror.New(m.cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{run: run, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.err = run.Run(ctx)
	}()
	m.life = l
	return nil
}

// now is the life of now.
func (m *Mirror) now() *life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

// failure is why it has ended by itself, nil where it runs or was stopped.
func (l *life) failure() error {
	select {
	case <-l.ended:
		if l.err != nil && !errors.Is(l.err, context.Canceled) {
			return fmt.Errorf("drilltest: the mirror has ended: %w", l.err)
		}
	default:
	}
	return nil
}

// Close ends it at once.
func (m *Mirror) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.Stop(ctx, m.from, m.to)
}

// Status is the mirror's, the last one where it has stopped.
func (m *Mirror) Status() mirror.Status { return m.now().run.Status() }

// Lag is what the mirror knows to be missing; where the source is away, the last that was known. A
// mirror that has ended by itself is an error.
func (m *Mirror) Lag(_ context.Context, from, to string) (control.Lag, error) {
	if err := m.is(from, to); err != nil {
		return control.Lag{}, err
	}
	if err := m.now().failure(); err != nil {
		return control.Lag{}, err
	}
	s := m.Status()
	l := control.Lag{Records: s.RPO.Records, Unknown: s.RPO.Unknown, Age: control.Millis(time.Duration(s.RPO.AgeMillis) * time.Millisecond), At: time.Now().Add(-time.Duration(s.RPO.SourceAgeMillis) * time.Millisecond)}
	if s.RPO.SourceAgeMillis < 0 {
		l.At = time.Time{}
	}
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			if n := p.Missing(); n > 0 {
				l.Partitions = append(l.Partitions, control.PartitionLag{Topic: t.Target, Partition: p.Partition, Records: n})
			}
		}
	}
	return l, nil
}

// Drain returns when the standby has what the source's logs hold now, and committed offsets were
// carried since. A mirror that has just started, or finds no topic, is waited for.
func (m *Mirror) Drain(ctx context.Context, from, to string) error {
	if err := m.is(from, to); err != nil {
		return err
	}
	l := m.now()
	ends, err := l.ends(ctx, m.cfg.Source)
	if err != nil {
		return err
	}
	var g groupLooks
	for {
		s := l.run.Status()
		missing := missing(s, ends)
		if missing == 0 && (m.cfg.SkipGroups || g.two(s.Groups.AgeMillis)) {
			return nil
		}
		if err := l.pause(ctx); err != nil {
			return fmt.Errorf("drain: %d records are missing: %w", missing, err)
		}
	}
}

// groupLooks counts looks at committed offsets that ended since all records were there. The second
// began since then, too.
type groupLooks struct {
	last time.Time
	n    int
}

// two says whether there were two, by the age of the last one.
func (g *groupLooks) two(ageMillis int64) bool {
	at := time.Now().Add(-time.Duration(ageMillis) * time.Millisecond)
	if g.last.IsZero() {
		g.last = time.Now()
	}
	if ageMillis >= 0 && at.After(g.last.Add(5*time.Millisecond)) { // the age is in milliseconds
		g.last = at
		g.n++
	}
	return g.n >= 2
}

// ends are the high watermarks of the source's topics that the mirror has.
func (l *life) ends(ctx context.Context, source []kgo.Opt) (kadm.ListedOffsets, error) {
	topics, err := l.topics(ctx)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(source...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	return ends, ends.Error()
}

// topics are the names at the source of what is mirrored. Those of a mirror that has just started
// are waited for.
func (l *life) topics(ctx context.Context) (topics []string, err error) {
	for {
		for _, t := range l.run.Status().Topics {
			topics = append(topics, t.Source)
		}
		if len(topics) > 0 {
			return topics, nil
		}
		if err := l.pause(ctx); err != nil {
			return nil, fmt.Errorf("drain: nothing is mirrored: %w", err)
		}
	}
}

// pause is a moment, unless the mirror or ctx ends.
func (l *life) pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-l.ended:
		return errors.Join(errors.New("the mirror has ended"), l.err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func missing(s mirror.Status, ends kadm.ListedOffsets) (n int64) {
	durable := map[string]map[int32]int64{}
	for _, t := range s.Topics {
		durable[t.Source] = map[int32]int64{}
		for _, p := range t.Detail {
			durable[t.Source][p.Partition] = p.Durable
		}
	}
	ends.Each(func(o kadm.ListedOffset) { n += max(0, o.Offset-max(0, durable[o.Topic][o.Partition])) })
	return n
}

// cleanly is how long a mirror may take to end as it should, before it is ended hard: its source
// may be gone.
const cleanly = 500 * time.Millisecond

// Stop ends the mirror: nothing is appended any more.
func (m *Mirror) Stop(ctx context.Context, from, to string) error {
	if err := m.is(from, to); err != nil {
		return err
	}
	l := m.now()
	clean, cancel := context.WithTimeout(ctx, cleanly)
	defer cancel()
	_ = l.run.Stop(clean) // ends hard where clean ends first
	l.cancel()
	<-l.ended
	return nil
}

// Resume starts it again.
func (m *Mirror) Resume(_ context.Context, from, to string) error {
	if err := m.is(from, to); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.ended:
		return m.start()
	default:
		return nil // it runs
	}
}

func (m *Mirror) is(from, to string) error {
	if from != m.from || to != m.to {
		return fmt.Errorf("drilltest: there is no mirror from %s to %s, only from %s to %s", from, to, m.from, m.to)
	}
	return nil
}
