package offsets

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Stored translates by what is noted on the target cluster, with no need of the source: the maps of
// translated restores, and which partitions are exact copies, by a mirror or a restore. It is as of
// [Open]. Safe for concurrent use.
type Stored struct {
	source string
	known  []string // sources that are noted
	copies map[place][]*noted

	mu     sync.Mutex // guards the maps in copies
	ledger *ledger.Ledger
}

// noted is a copy of a source partition.
type noted struct {
	target   rawkafka.Partition
	at       time.Time
	mapKey   string // of its map; empty: an exact copy
	m        *Map
	err      error
	what     string // in words
	sourceID string
	gone     string // why it can't be used
	start    int64  // of the target's log, at Open
	end      int64  // an exact copy's, at Open
	limited  bool   // what an exact restore has put there ends at limit
	limit    int64
}

// Open reads what is noted on the cluster of cl about copies from a source: its cluster ID, an
// alias that a restore was given, or the name of a mirror's flow. Nothing noted is no error:
// Translate answers [HowUnknown] then. It needs Read on the topic __kafkadr, and Describe on the
// copies. Errors are typed as the ledger's; an entry that a later version wrote is left out, and
// named in the answers. It connects as cl does, whose own consuming isn't touched; cl isn't used
// after it returns.
func Open(ctx context.Context, cl *kgo.Client, source string) (*Stored, error) {
	c, err := rawkafka.Connect(ctx, reach(cl), rawkafka.Config{})
	if err != nil {
		return nil, fmt.Errorf("offsets: %w", err)
	}
	defer c.Close()
	l, err := ledger.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("offsets: %w", err)
	}
	s := &Stored{source: source, copies: map[place][]*noted{}, ledger: l}
	s.restores()
	s.exactRestores()
	s.mirrors()
	s.stop()
	slices.Sort(s.known)
	s.known = slices.Compact(s.known)
	if err := s.look(ctx, c); err != nil {
		return nil, fmt.Errorf("offsets: %w", err)
	}
	for _, ns := range s.copies { // those that are there, the newest first
		slices.SortStableFunc(ns, func(a, b *noted) int {
			if (a.gone == "") != (b.gone == "") {
				return cmp.Compare(len(a.gone), len(b.gone))
			}
			return b.at.Compare(a.at)
		})
	}
	return s, nil
}

// reach are the options by which a client reaches its cluster, without what it consumes or
// produces.
func reach(cl *kgo.Client) []kgo.Opt {
	seeds, _ := cl.OptValue(kgo.SeedBrokers).([]string)
	opts := []kgo.Opt{kgo.SeedBrokers(seeds...)}
	if config, ok := cl.OptValue(kgo.DialTLSConfig).(*tls.Config); ok && config != nil {
		opts = append(opts, kgo.DialTLSConfig(config))
	} else if dial, ok := cl.OptValue(kgo.Dialer).(func(context.Context, string, string) (net.Conn, error)); ok && dial != nil {
		opts = append(opts, kgo.Dialer(dial))
	}
	if mechanisms, ok := cl.OptValue(kgo.SASL).([]sasl.Mechanism); ok {
		opts = append(opts, kgo.SASL(mechanisms...))
	}
	return opts
}

// is notes a source by its names, and says whether it is the one asked for.
func (s *Stored) is(names ...string) bool {
	for _, n := range names {
		if n != "" {
			s.known = append(s.known, n)
		}
	}
	return s.source != "" && slices.Contains(names, s.source)
}

// restores takes in what translated restores have noted.
func (s *Stored) restores() {
	all, _ := s.ledger.Restores() // others' faults aren't this source's
	for _, r := range all {
		if !s.is(r.SourceCluster, r.SourceAlias) {
			continue
		}
		n := &noted{
			at: r.StartedAt, sourceID: r.SourceTopicID, mapKey: ledger.MapKey(r.SourceCluster, r.TargetTopic, r.Partition, r.Job),
			what: fmt.Sprintf("translated restore of snapshot %s", r.Snapshot), target: rawkafka.Partition{Topic: r.TargetTopic, Partition: r.Partition},
		}
		n.gone = s.idOf(&n.target, r.TargetTopicID)
		if r.DoneAt == nil {
			n.gone = "it isn't complete: run it again"
		} else {
			n.at = *r.DoneAt
		}
		at := place{r.SourceTopic, r.Partition}
		s.copies[at] = append(s.copies[at], n)
	}
}

// identity is what is read of a mirror's identity record.
type identity struct {
	Flow     string    `json:"flow"`
	Topic    string    `json:"topic"` // the source's
	SourceID string    `json:"source_id"`
	TargetID string    `json:"target_id"`
	At       time.Time `json:"at"`
	Stopped  string    `json:"stopped"`
}

// copyPrefix begins the keys of identity records: copy/<source cluster>/<target topic>/<partition>.
const copyPrefix = "copy/"

// copyOf takes the key of an identity record apart.
func copyOf(key string) (sourceCluster string, target rawkafka.Partition, ok bool) {
	parts := strings.Split(strings.TrimPrefix(key, copyPrefix), "/")
	if len(parts) < 3 {
		return "", target, false
	}
	n := len(parts)
	partition, err := strconv.ParseInt(parts[n-1], 10, 32)
	target.Topic, target.Partition = parts[n-2], int32(partition)
	return strings.Join(parts[:n-2], "/"), target, err == nil && partition >= 0
}

// mirrors takes in the identity records of exact copies.
func (s *Stored) mirrors() {
	for key, raw := range s.ledger.Each(copyPrefix) {
		var r identity
		source, target, ok := copyOf(key)
		if !ok || ledger.Decode(key, raw, &r) != nil || r.Topic == "" || !s.is(source, r.Flow) {
			continue
		}
		n := &noted{at: r.At, sourceID: r.SourceID, target: target, what: "exact copy by a mirror"}
		if r.Flow != "" {
			n.what = fmt.Sprintf("exact copy by the mirror %s", r.Flow)
		}
		n.gone = s.idOf(&n.target, r.TargetID)
		at := place{r.Topic, target.Partition}
		s.copies[at] = append(s.copies[at], n)
	}
}

// exactRestores takes in what restores that keep offsets have noted.
func (s *Stored) exactRestores() {
	all, _ := s.ledger.ExactRestores() // others' faults aren't this source's
	for _, r := range all {
		if !s.is(r.SourceCluster, r.SourceAlias) {
			continue
		}
		for partition, end := range r.Ends {
			n := &noted{
				at: r.DoneAt, sourceID: r.SourceTopicID, limited: true, limit: end,
				what: fmt.Sprintf("exact restore of snapshot %s", r.Snapshot), target: rawkafka.Partition{Topic: r.TargetTopic, Partition: partition},
			}
			n.gone = s.idOf(&n.target, r.TargetTopicID)
			at := place{r.SourceTopic, partition}
			s.copies[at] = append(s.copies[at], n)
		}
	}
}

// stop has no copy count that a mirror keeps, or has gone on with, and that has stopped: why it has
// may be that the two logs differ.
func (s *Stored) stop() {
	stopped := make(map[rawkafka.Partition]string)
	for key, raw := range s.ledger.Each(copyPrefix) {
		var r identity
		if _, target, ok := copyOf(key); ok && ledger.Decode(key, raw, &r) == nil && r.Stopped != "" && s.idOf(&target, r.TargetID) == "" {
			stopped[target] = r.Stopped
		}
	}
	for _, ns := range s.copies {
		for _, n := range ns {
			if why := stopped[n.target]; why != "" && n.gone == "" {
				n.gone = fmt.Sprintf("the mirror has stopped it (%s)", why)
			}
		}
	}
}

// idOf sets a partition's topic ID from its text.
func (*Stored) idOf(p *rawkafka.Partition, text string) string {
	var id TopicID
	if err := id.UnmarshalText([]byte(text)); err != nil {
		return "its note has no topic ID"
	}
	p.TopicID = kadm.TopicID(id)
	return ""
}

// look asks the target for the copies' topics, and where they start and end.
func (s *Stored) look(ctx context.Context, c *rawkafka.Cluster) error {
	var names []string
	for _, ns := range s.copies {
		for _, n := range ns {
			names = append(names, n.target.Topic)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	topics, err := c.Topics(ctx, slices.Compact(names)...)
	if err != nil {
		return err
	}
	there := map[rawkafka.Partition][]*noted{}
	var ps []rawkafka.Partition
	for _, ns := range s.copies {
		for _, n := range ns {
			if n.gone == "" {
				n.gone = missing(topics[n.target.Topic], n.target)
			}
			if n.gone == "" {
				ps = append(ps, n.target)
				there[n.target] = append(there[n.target], n)
			}
		}
	}
	if len(ps) == 0 {
		return nil
	}
	starts, err := c.ListOffsets(ctx, ps, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	ends, err := c.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	for p, ns := range there {
		for _, n := range ns {
			if n.start, n.end = starts[p].Offset, ends[p].Offset; n.limited {
				n.end = min(n.end, n.limit)
			}
			if err := errors.Join(starts[p].Err, ends[p].Err); err != nil {
				n.gone = fmt.Sprintf("its offsets couldn't be read: %v", err)
			}
		}
	}
	return nil
}

// missing says why a copy isn't there any more.
func missing(t rawkafka.Topic, p rawkafka.Partition) string {
	switch {
	case t.Err != nil:
		return t.Err.Error()
	case t.ID != p.TopicID:
		return "the topic was made anew since"
	case int(p.Partition) >= len(t.Partitions):
		return "the partition isn't there"
	}
	return ""
}

// Translate answers from the newest copy of the partition that is noted and still there. Where the
// target's log start has passed the copy of a record, the answer is the log start, [HowNext]: what
// lies before can't be read any more. Its error is nil but where the ledger's map is damaged.
func (s *Stored) Translate(_ context.Context, topic string, partition int32, upstreamOffset int64) (Translated, error) {
	unknown := Translated{Partition: partition, Offset: -1, How: HowUnknown}
	ns := s.copies[place{topic, partition}]
	if len(ns) == 0 {
		unknown.Evidence = fmt.Sprintf("no copy of %s/%d from %q is noted on the target; noted are copies from: %s", topic, partition, s.source, list(s.known))
		return unknown, nil
	}
	n := ns[0]
	if n.gone != "" {
		unknown.Evidence = fmt.Sprintf("%s to %s: %s", n.what, n.target, n.gone)
		return unknown, nil
	}
	t := Translated{Topic: n.target.Topic, Partition: partition, Evidence: fmt.Sprintf("%s, of source topic ID %s, as of %s", n.what, n.sourceID, n.at.UTC().Format(time.RFC3339))}
	if len(ns) > 1 {
		t.Evidence += fmt.Sprintf("; the newest of %d", len(ns))
	}
	if n.mapKey == "" {
		t.Offset, t.How = n.exact(upstreamOffset)
		return t, nil
	}
	m, err := s.mapOf(n)
	if err != nil {
		return unknown, fmt.Errorf("offsets: %s/%d: the map to %s: %w", topic, partition, n.target, err)
	}
	t.Offset, t.How = m.Translate(upstreamOffset)
	if t.Offset >= 0 && t.Offset < n.start {
		t.Offset, t.How = n.start, HowNext
		t.Evidence += "; what the map names is gone from the target"
	}
	t.Evidence += "; " + m.evidence()
	return t, nil
}

// Knows says whether a copy of the partition is noted, of use or not.
func (s *Stored) Knows(topic string, partition int32) bool {
	return len(s.copies[place{topic, partition}]) > 0
}

// exact translates for an exact copy of what the target has.
func (n *noted) exact(upstreamOffset int64) (int64, How) {
	switch {
	case upstreamOffset < 0:
		return -1, HowUnknown
	case upstreamOffset < n.start:
		return n.start, HowBeforeStart
	case upstreamOffset > n.end:
		return n.end, HowPastEnd
	}
	return upstreamOffset, HowExact
}

// mapOf loads the map of a copy, once.
func (s *Stored) mapOf(n *noted) (*Map, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.m == nil && n.err == nil {
		n.m, n.err = loadMap(s.ledger, n)
	}
	return n.m, n.err
}

func loadMap(l *ledger.Ledger, n *noted) (*Map, error) {
	raw, ok, err := l.Map(n.mapKey)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &DamageError{Reason: "it isn't in the ledger"}
	}
	m := new(Map)
	if err := m.UnmarshalBinary(raw); err != nil {
		return nil, err
	}
	want := m.ID()
	want.TargetTopic, want.TargetTopicID, want.Partition = n.target.Topic, n.target.TopicID, n.target.Partition
	return m, m.For(want)
}

// list is a few names, in words.
func list(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > 8:
		return strings.Join(names[:8], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
