package failover

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// direct is what a consumer without a group consumes. Nothing is committed for it, so kgo would
// begin at its start offset on each cluster. The client therefore assigns partitions itself: at the
// session's position, which is that of the session before, or the fork; else at the start offset.
type direct struct {
	start     kgo.Offset // of partitions without a position
	committed bool       // it reads committed records alone
	age       time.Duration
	regex     bool
	exclude   []*regexp.Regexp
	changed   chan struct{} // has the topics looked at at once

	mu         sync.Mutex
	topics     map[string]*regexp.Regexp // all of whose partitions are consumed; expressions where regex is set
	partitions map[string]map[int32]kgo.Offset
	session    *session // that assigned are of
	assigned   map[topicPartition]bool
	refused    map[string]error   // topics that can't be read, for the next poll to say
	wake       context.CancelFunc // ends the poll in kgo that waits
}

// directOf is what a consumer without a group consumes by its options; nil where it is a group's.
// Connecting says what is wrong with options that make no client.
func directOf(opts []kgo.Opt) *direct {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	probe, err := kgo.NewClient(append(opts, kgo.WithContext(dead))...)
	if err != nil {
		return nil
	}
	defer probe.CloseAllowingRebalance()
	if group, _ := probe.OptValue(kgo.ConsumerGroup).(string); group != "" {
		return nil
	}
	if group, _ := probe.OptValue(kgo.ShareGroup).(string); group != "" {
		return nil
	}
	d := &direct{changed: make(chan struct{}, 1), assigned: make(map[topicPartition]bool)}
	d.start, _ = probe.OptValue(kgo.ConsumeStartOffset).(kgo.Offset)
	d.age, _ = probe.OptValue(kgo.MetadataMaxAge).(time.Duration)
	d.regex, _ = probe.OptValue(kgo.ConsumeRegex).(bool)
	level, _ := probe.OptValue(kgo.FetchIsolationLevel).(kgo.IsolationLevel)
	d.committed = level == kgo.ReadCommitted()
	topics, _ := probe.OptValue(kgo.ConsumeTopics).(map[string]*regexp.Regexp)
	partitions, _ := probe.OptValue(kgo.ConsumePartitions).(map[string]map[int32]kgo.Offset)
	exclude, _ := probe.OptValue(kgo.ConsumeExcludeTopics).([]string)
	for _, e := range exclude {
		if re, err := regexp.Compile(e); err == nil { // kgo has compiled it
			d.exclude = append(d.exclude, re)
		}
	}
	d.topics = maps.Clone(topics)
	if d.topics == nil {
		d.topics = make(map[string]*regexp.Regexp)
	}
	d.partitions = make(map[string]map[int32]kgo.Offset)
	if !d.regex {
		d.addPartitions(partitions)
	}
	return d
}

// withoutRegex are an application's options but for those that make a consumer one of expressions:
// kgo takes no partitions then.
func withoutRegex(opts []kgo.Opt) (rest []kgo.Opt) {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	for _, o := range opts {
		alone, err := kgo.NewClient(o, kgo.WithContext(dead))
		regex := false
		if err == nil {
			regex, _ = alone.OptValue(kgo.ConsumeRegex).(bool)
			alone.CloseAllowingRebalance()
		} else if with, err := kgo.NewClient(o, kgo.ConsumeRegex(), kgo.WithContext(dead)); err == nil {
			exclude, _ := with.OptValue(kgo.ConsumeExcludeTopics).([]string)
			regex = len(exclude) > 0
			with.CloseAllowingRebalance()
		}
		if !regex {
			rest = append(rest, o)
		}
	}
	return rest
}

func (d *direct) poke() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// refuse has polls say why a topic can't be read, as kgo's do: what passes isn't said. d.mu is held.
func (d *direct) refuse(topic string, err error) {
	if kerr.IsRetriable(err) {
		return
	}
	if d.refused == nil {
		d.refused = make(map[string]error)
	}
	d.refused[topic] = err
	if d.wake != nil {
		d.wake()
	}
}

// polling has a poll in kgo end, by the func, where something is to be said beside it.
func (d *direct) polling(wake context.CancelFunc) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wake = wake; len(d.refused) > 0 {
		wake()
	}
}

// saying adds to what a poll has got what is to be said.
func (d *direct) saying(fs kgo.Fetches) kgo.Fetches {
	if d == nil {
		return fs
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake = nil
	for topic, err := range d.refused {
		fs = append(fs, kgo.Fetch{Topics: []kgo.FetchTopic{{Topic: topic, Partitions: []kgo.FetchPartition{{Partition: -1, Err: err}}}}})
	}
	clear(d.refused)
	return fs
}

func (d *direct) add(topics []string) {
	if d.regex {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range topics {
		if d.partitions[t] == nil { // as kgo: one that is consumed in part stays so
			d.topics[t] = nil
		}
	}
	d.poke()
}

func (d *direct) addPartitions(partitions map[string]map[int32]kgo.Offset) {
	if d.regex {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, ps := range partitions {
		if len(ps) == 0 {
			continue
		}
		delete(d.topics, t) // as kgo: no more of its partitions are looked for
		if d.partitions[t] == nil {
			d.partitions[t] = make(map[int32]kgo.Offset, len(ps))
		}
		maps.Copy(d.partitions[t], ps)
	}
	d.poke()
}

func (d *direct) remove(partitions map[string][]int32) {
	if d.regex {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, ps := range partitions {
		if _, whole := d.topics[t]; whole && len(ps) > 0 { // what is left of it is consumed on
			delete(d.topics, t)
			d.partitions[t] = make(map[int32]kgo.Offset)
			for at := range d.assigned {
				if at.topic == t {
					d.partitions[t][at.partition] = d.start
				}
			}
		}
		for _, p := range ps {
			delete(d.partitions[t], p)
			delete(d.assigned, topicPartition{t, p})
		}
		if len(d.partitions[t]) == 0 {
			delete(d.partitions, t)
		}
	}
}

func (d *direct) purge(topics []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range topics {
		if !d.regex {
			delete(d.topics, t)
		}
		delete(d.partitions, t)
	}
	maps.DeleteFunc(d.assigned, func(at topicPartition, _ bool) bool { return slices.Contains(topics, at.topic) })
}

// names are the topics that are consumed.
func (d *direct) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]bool)
	if !d.regex {
		for t := range d.topics {
			all[t] = true
		}
	}
	for t := range d.partitions {
		all[t] = true
	}
	for at := range d.assigned {
		all[at.topic] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// assign has a session's client consume what is to be consumed, and looks for more partitions as
// often as kgo does, and soon where a topic isn't there yet.
func (k *consuming) assign(s *session) {
	d := k.direct
	d.mu.Lock()
	d.session = s
	clear(d.assigned)
	clear(d.refused)
	d.mu.Unlock()
	for n := 0; s.ctx.Err() == nil; n++ {
		complete, err := k.assignMore(s)
		wait := min(250*time.Millisecond<<min(n, 5), 5*time.Second)
		switch {
		case err != nil && s.ctx.Err() == nil:
			k.c.retry("look for partitions to consume", err)
		case complete:
			n, wait = 0, max(d.age, time.Second)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-d.changed:
		case <-s.ctx.Done():
		}
		t.Stop()
	}
}

// assignMore assigns what isn't yet. It says whether all topics are there.
func (k *consuming) assignMore(s *session) (complete bool, err error) {
	d := k.direct
	d.mu.Lock()
	names := slices.Collect(maps.Keys(d.topics))
	fresh := make(map[topicPartition]kgo.Offset)
	for t, ps := range d.partitions {
		for p, o := range ps {
			fresh[topicPartition{t, p}] = o
		}
	}
	d.mu.Unlock()
	complete = true
	if len(names) > 0 {
		if complete, err = k.partitionsOf(s, names, fresh); err != nil {
			return false, err
		}
	}
	d.mu.Lock()
	maps.DeleteFunc(fresh, func(at topicPartition, _ kgo.Offset) bool { return d.assigned[at] })
	d.mu.Unlock()
	if len(fresh) == 0 {
		return complete, nil
	}
	if err := k.positionsOf(s, fresh); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	add := make(map[string]map[int32]kgo.Offset)
	for at, o := range fresh {
		if d.session != s || !d.wants(at) { // meanwhile
			continue
		}
		d.assigned[at] = true
		if add[at.topic] == nil {
			add[at.topic] = make(map[int32]kgo.Offset)
		}
		add[at.topic][at.partition] = o
	}
	s.cl.AddConsumePartitions(add)
	return complete, nil
}

// wants says whether a partition is to be consumed; d.mu is held.
func (d *direct) wants(at topicPartition) bool {
	if _, ok := d.partitions[at.topic][at.partition]; ok {
		return true
	}
	if !d.regex {
		_, ok := d.topics[at.topic]
		return ok
	}
	return d.matches(at.topic)
}

// matches says whether an expression takes a topic; d.mu is held.
func (d *direct) matches(topic string) bool {
	takes := func(re *regexp.Regexp) bool { return re.MatchString(topic) }
	return slices.ContainsFunc(slices.Collect(maps.Values(d.topics)), takes) && !slices.ContainsFunc(d.exclude, takes)
}

// partitionsOf adds topics' partitions to those that are to be consumed, at the start offset.
func (k *consuming) partitionsOf(s *session, names []string, fresh map[topicPartition]kgo.Offset) (complete bool, err error) {
	d := k.direct
	if d.regex {
		names = nil // all
	}
	// One that is refused must not hide the others, as it would in kadm.
	resp, err := s.cl.RequestCachedMetadata(s.ctx, rawkafka.MetadataOf(names...), 0)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	complete = d.regex || len(resp.Topics) == len(names)
	for _, t := range resp.Topics {
		if t.Topic == nil || d.regex && (t.IsInternal || !d.matches(*t.Topic)) {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			complete = false
			d.refuse(*t.Topic, err)
			continue
		}
		for _, p := range t.Partitions {
			at := topicPartition{*t.Topic, p.Partition}
			if _, ok := fresh[at]; !ok {
				fresh[at] = d.start
			}
		}
	}
	return complete, nil
}

// positionsOf says where partitions are consumed from: where the client was, else at the offsets
// that they are there with. The end of a log is asked for here: a position is noted before anything
// was polled, so that a switch skips nothing.
func (k *consuming) positionsOf(s *session, fresh map[topicPartition]kgo.Offset) error {
	ends := make(map[string]bool)
	for at, o := range fresh {
		if was, ok := k.resume(s, at); ok {
			fresh[at] = kgo.NewOffset().At(was)
		} else if o == kgo.NewOffset().AtEnd() {
			ends[at.topic] = true
		}
	}
	if len(ends) == 0 {
		return nil
	}
	adm, names := kadm.NewClient(s.cl), slices.Collect(maps.Keys(ends))
	list := adm.ListEndOffsets
	if k.direct.committed {
		list = adm.ListCommittedOffsets
	}
	listed, err := list(s.ctx, names...)
	if err != nil {
		return err
	}
	var errs []error
	for at, o := range fresh {
		if o != kgo.NewOffset().AtEnd() {
			continue
		}
		end, ok := listed.Lookup(at.topic, at.partition)
		if !ok || end.Err != nil {
			delete(fresh, at) // in the next round
			errs = append(errs, kerr.LeaderNotAvailable, end.Err)
			continue
		}
		fresh[at] = kgo.NewOffset().At(end.Offset)
		k.c.mu.Lock()
		s.positions.reached(at, end.Offset)
		k.c.mu.Unlock()
	}
	if len(errs) > 0 && len(fresh) == 0 {
		return errors.Join(errs...)
	}
	return nil
}

// resume is where a session's client goes on in a partition: where the last one was, or at the
// fork.
func (k *consuming) resume(s *session, at topicPartition) (int64, bool) {
	k.c.mu.Lock()
	e, ok := s.positions.earlier[at]
	if now, polled := s.positions.polled[at]; polled {
		e, ok = consumed{s.epoch, now}, true
	}
	below, known := int64(0), false
	if ok && !k.translates(e.epoch, s.epoch) {
		below, known = k.c.below(e.epoch, s.epoch, at, e.offset)
	}
	k.c.mu.Unlock()
	if !ok {
		return 0, false
	}
	if k.translates(e.epoch, s.epoch) {
		below, known = k.c.cfg.Translate(s.ctx, e.epoch.Active, s.epoch.Active, at.topic, at.partition, e.offset)
	}
	if !known {
		k.c.cfg.Logger.Warn("failover: nothing says where a consumer without a group goes on: it begins at its start offset", "topic", at.topic, "partition", at.partition, "cluster", s.cluster.Name, "was", e.offset, "on", e.epoch.Active)
	}
	return below, known
}

// forget forgets positions: the application has said where it goes on, or that it doesn't.
func (k *consuming) forget(which func(topicPartition) bool) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if s := k.c.last; s != nil {
		maps.DeleteFunc(s.positions.polled, func(at topicPartition, _ int64) bool { return which(at) })
		maps.DeleteFunc(s.positions.earlier, func(at topicPartition, _ consumed) bool { return which(at) })
	}
}
