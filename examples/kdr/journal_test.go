package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// record is a record that an application sent: the number of a key.
type record struct {
	key string
	n   int
}

// journal is what applications say of their records.
type journal struct {
	t testing.TB

	mu     sync.Mutex
	next   map[string]int    // by key
	acked  map[record]string // to whom
	acks   map[string]int    // by application
	got    map[record]int
	heard  map[string]int // other words, by application
	faults []string
}

func newJournal(t testing.TB) *journal {
	return &journal{t: t, next: map[string]int{}, acked: map[record]string{}, acks: map[string]int{}, got: map[record]int{}, heard: map[string]int{}}
}

// application starts one. Its keys go on where an earlier life of it has left them.
func (j *journal) application(name, file, topic string, consume bool) *helper {
	j.t.Helper()
	spec := processSpec{Name: name, Clusters: file, Topic: topic, Next: map[string]int{}, Consume: consume}
	j.mu.Lock()
	for i := range 4 {
		key := fmt.Sprintf("%s-%d", strings.TrimSuffix(name, "-again"), i)
		spec.Next[key] = j.next[key]
	}
	j.mu.Unlock()
	return help(j.t, spec, func(line string) { j.note(name, line) })
}

// note notes what an application says.
func (j *journal) note(name, line string) {
	words := strings.Fields(line)
	j.mu.Lock()
	defer j.mu.Unlock()
	at := func() record {
		n, err := strconv.Atoi(words[2])
		if err != nil {
			j.faults = append(j.faults, name+": "+line)
		}
		return record{words[1], n}
	}
	switch words[0] {
	case "sent":
		j.next[words[1]] = at().n + 1
	case "acked":
		if _, twice := j.acked[at()]; twice {
			j.faults = append(j.faults, name+", twice: "+line)
		}
		j.acked[at()] = name
		j.acks[name]++
	case "got":
		j.got[at()]++
	case "first", "flushed":
		j.heard[name+" "+words[0]]++
	case "switched":
		j.heard[name+" "+words[0]]++
		j.t.Logf("%s: %s", name, line)
	default:
		j.faults = append(j.faults, name+": "+line)
	}
}

// count is how many acks an application has got.
func (j *journal) count(name string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acks[name]
}

// said is an error until an application has said something so often.
func (j *journal) said(name, what string, times int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return atLeast(name+" "+what, j.heard[name+" "+what], times)
}

func atLeast(what string, n, want int) error {
	if n < want {
		return fmt.Errorf("%d %s, want %d", n, what, want)
	}
	return nil
}

// check holds that what is stored was sent, each once and in order, and that no application had
// anything to complain of. It returns what is there.
func (j *journal) check(stored []record) map[record]bool {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.faults) > 0 {
		j.t.Errorf("%d faults, such as %q", len(j.faults), j.faults[0])
	}
	there, last := map[record]bool{}, map[string]int{}
	for _, rec := range stored {
		switch {
		case there[rec]:
			j.t.Errorf("%v is there again", rec)
		case rec.n < last[rec.key]:
			j.t.Errorf("%v comes after %d", rec, last[rec.key])
		case rec.n >= j.next[rec.key]:
			j.t.Errorf("%v was never sent", rec)
		}
		there[rec], last[rec.key] = true, rec.n
	}
	return there
}

// delivered is an error until everything that is stored was consumed.
func (j *journal) delivered(stored []record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, rec := range stored {
		if j.got[rec] == 0 {
			return fmt.Errorf("%v was never consumed", rec)
		}
	}
	return nil
}

// logOf is a topic's log from some offsets on, partition by partition, in their order.
func logOf(t testing.TB, c testkafka.Cluster, topic string, from map[int32]int64) (records []record) {
	t.Helper()
	all := map[int32][]*kgo.Record{}
	cl := testkafka.Client(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for missing := unread(ctx, t, cl, []string{topic}); len(missing) > 0; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read: %v; missing %v", err, missing)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			all[rec.Partition] = append(all[rec.Partition], rec)
			if p := fmt.Sprintf("%s/%d", rec.Topic, rec.Partition); rec.Offset+1 >= missing[p] {
				delete(missing, p)
			}
		})
	}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		for _, rec := range all[p] {
			if rec.Attrs.IsControl() || rec.Offset < from[p] {
				continue
			}
			n, err := strconv.Atoi(string(rec.Value))
			if err != nil {
				t.Fatalf("%d/%d: %q %q", p, rec.Offset, rec.Key, rec.Value)
			}
			records = append(records, record{string(rec.Key), n})
		}
	}
	return records
}
