package main

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// TestStory runs the whole story: it must end well, and in time.
func TestStory(t *testing.T) {
	var out bytes.Buffer
	start := time.Now()
	err := run(t.Context(), &out, uint64(start.UnixNano()))
	t.Logf("%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Logf("slow: it took %s", d)
	}
	goleak.VerifyNone(t)
}

func record(topic, key, value string, offset int64) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Offset: offset}
}

// TestProofFindsFaults: what is lost, doubled, moved or changed makes another
// digest than the ledger's.
func TestProofFindsFaults(t *testing.T) {
	l := newLedger()
	sent := []*kgo.Record{record(orders, "a", "1", 0), record(orders, "b", "2", 1), record(orders, "a", "3", 2)}
	l.note(committed, sent...)
	l.note(aborted, record(orders, "x", "no", 3))
	p := place{orders, 0}
	for _, c := range []struct {
		name  string
		found []*kgo.Record
		same  bool
	}{
		{"all", sent, true},
		{"one lost", sent[:2], false},
		{"one lost inside", []*kgo.Record{sent[0], sent[2]}, false},
		{"one doubled", append(sent[:3:3], record(orders, "b", "2", 4)), false},
		{"one moved", []*kgo.Record{sent[0], sent[1], record(orders, "a", "3", 3)}, false},
		{"one changed", []*kgo.Record{sent[0], record(orders, "b", "9", 1), sent[2]}, false},
		{"an aborted one", append(sent[:3:3], record(orders, "x", "no", 3)), false},
	} {
		found := make(map[int64]*kgo.Record)
		for _, r := range c.found {
			found[r.Offset] = r
		}
		if same := digestOf(l.expected(p, 10, found)) == digestOf(content(found)); same != c.same {
			t.Errorf("%s: same is %v", c.name, same)
		}
	}
}

// TestCompaction: what a later record of the key replaced may be gone, the
// last one may not.
func TestCompaction(t *testing.T) {
	l := newLedger()
	first, second := record(profiles, "a", "1", 0), record(profiles, "a", "2", 1)
	l.note(committed, first, second)
	p := place{profiles, 0}
	expected := func(found ...*kgo.Record) map[int64][sha256.Size]byte {
		all := make(map[int64]*kgo.Record)
		for _, r := range found {
			all[r.Offset] = r
		}
		return l.expected(p, 2, all)
	}
	if got := expected(second); len(got) != 1 {
		t.Errorf("the first may be gone: %v", got)
	}
	if got := expected(first); len(got) != 2 {
		t.Errorf("the second may not be gone: %v", got)
	}
}

// TestFailedCheckFails: one failed check makes the program fail.
func TestFailedCheckFails(t *testing.T) {
	s := &story{out: new(bytes.Buffer)}
	s.check(true, "fine")
	if err := s.end(); err != nil {
		t.Error(err)
	}
	s.check(false, "not fine")
	if s.end() == nil {
		t.Error("a failed check is no error")
	}
}
