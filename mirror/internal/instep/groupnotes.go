package instep

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/kafkadr/kafkadr/internal/ledger"
)

// groupBuckets is how many entries of the ledger share the groups.
const groupBuckets = 256

// groupNote is what the ledger has of a group: that its offsets are being moved from here, or what
// they were when they were left.
type groupNote struct {
	Open bool `json:"open,omitempty"`
	// Topics are digests by topic: how many partitions, a colon, 16 hex digits.
	Topics map[string]string `json:"topics,omitempty"`
}

type groupBucket struct {
	Groups map[string]groupNote `json:"groups"`
}

// groupNotes are the ledger's notes of groups. A group is noted as open before the first of a
// series of commits, and with digests after the last, so that an active group costs two entries,
// not one each interval.
type groupNotes struct {
	ledger Ledger
	prefix string
	notes  map[string]groupNote
	dirty  map[uint32]bool
}

func readGroupNotes(l Ledger, prefix string) (*groupNotes, error) {
	n := &groupNotes{ledger: l, prefix: prefix, notes: map[string]groupNote{}, dirty: map[uint32]bool{}}
	for key, value := range l.Each(prefix) {
		var b groupBucket
		if err := ledger.Decode(key, value, &b); err != nil {
			return nil, err
		}
		for name, note := range b.Groups {
			if key == n.key(bucketOf(name)) {
				n.notes[name] = note
			}
		}
	}
	return n, nil
}

func (n *groupNotes) key(bucket uint32) string { return n.prefix + strconv.Itoa(int(bucket)) }

func bucketOf(group string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(group))
	return h.Sum32() % groupBuckets
}

func (n *groupNotes) set(group string, note groupNote) {
	n.notes[group] = note
	n.dirty[bucketOf(group)] = true
}

func (n *groupNotes) forget(group string) {
	if _, ok := n.notes[group]; ok {
		delete(n.notes, group)
		n.dirty[bucketOf(group)] = true
	}
}

// write writes the entries that changed.
func (n *groupNotes) write(ctx context.Context) error {
	if len(n.dirty) == 0 {
		return nil
	}
	put := map[string]any{}
	for name, note := range n.notes {
		if b := bucketOf(name); n.dirty[b] {
			key := n.key(b)
			if put[key] == nil {
				put[key] = groupBucket{Groups: map[string]groupNote{}}
			}
			put[key].(groupBucket).Groups[name] = note
		}
	}
	for b := range n.dirty {
		if _, ok := put[n.key(b)]; !ok {
			put[n.key(b)] = nil
		}
	}
	if err := n.ledger.Put(ctx, put); err != nil {
		return fmt.Errorf("instep: groups: %w", err)
	}
	clear(n.dirty)
	return nil
}

// noteOf is the note of a group that is left with these marks.
func noteOf(ms marks) groupNote {
	n := groupNote{Topics: map[string]string{}}
	for len(ms) > 0 {
		var topic marks
		topic, ms = ms.firstTopic()
		n.Topics[topic[0].topic] = topic.digest()
	}
	return n
}

// differing are the marks of topics that aren't as noted, and the topics among them for which that
// is certain: a topic that was open, that has no note, or of which some offsets have expired, may
// have been left so by a process of ours.
func (n groupNote) differing(there marks, known bool) (differ marks, certain map[string]bool) {
	certain = map[string]bool{}
	for rest := there; len(rest) > 0; {
		var topic marks
		topic, rest = rest.firstTopic()
		name := topic[0].topic
		was, ok := n.Topics[name]
		if ok = ok && known && !n.Open; ok && topic.digest() == was {
			continue
		}
		certain[name] = ok && len(topic) >= noted(was)
		differ = append(differ, topic...)
	}
	return differ, certain
}

// firstTopic divides the marks into those of the first topic and the others.
func (ms marks) firstTopic() (first, others marks) {
	i := 1
	for i < len(ms) && ms[i].topic == ms[0].topic {
		i++
	}
	return ms[:i], ms[i:]
}

// digest is of the partitions, offsets and metadata of one topic.
func (ms marks) digest() string {
	h := sha256.New()
	for _, m := range ms {
		var b [20]byte
		binary.BigEndian.PutUint32(b[0:], uint32(m.partition))
		binary.BigEndian.PutUint64(b[4:], uint64(m.offset))
		binary.BigEndian.PutUint64(b[12:], uint64(len(m.metadata())))
		_, _ = h.Write(b[:])
		_, _ = h.Write([]byte(m.metadata()))
	}
	return fmt.Sprintf("%d:%s", len(ms), hex.EncodeToString(h.Sum(nil)[:8]))
}

// noted is how many partitions a digest is of.
func noted(digest string) int {
	count, _, _ := strings.Cut(digest, ":")
	n, _ := strconv.Atoi(count)
	return n
}
