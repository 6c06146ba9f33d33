package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
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
	for _, want := range []string{"First act", "time to recover (RTO), from the stop", "Second act", "time to recover (RTO), from the first failed look", "(RPO), as far as the mirror knew", "it is on the standby in epoch 3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
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

// TestBookFindsFaults: what is lost, doubled, reordered or nobody's on the
// standby is counted.
func TestBookFindsFaults(t *testing.T) {
	b := newBook()
	var sent []*kgo.Record
	for n := range 4 {
		r := record(orders, fmt.Sprintf("c%d", n%2), fmt.Sprint(n), 0)
		b.send(r, n)
		sent = append(sent, r)
	}
	for _, r := range sent[:3] { // of the last one nothing was heard
		b.ack(r, nil)
	}
	for _, c := range []struct {
		name   string
		stored []*kgo.Record
		want   found
	}{
		{"all", sent, found{}},
		{"all that are acked", sent[:3], found{}},
		{"one lost", sent[1:], found{lost: 1}},
		{"one doubled", append(sent[:4:4], sent[1]), found{doubled: 1}},
		{"one too late", []*kgo.Record{sent[2], sent[1], sent[0]}, found{reordered: 1}},
		{"one of nobody", append(sent[:4:4], record(orders, "c1", "x", 0)), found{foreign: 1}},
	} {
		stored := make(map[int64]*kgo.Record)
		for i, r := range c.stored {
			stored[int64(i)] = r
		}
		if got := b.compare(map[place]map[int64]*kgo.Record{{orders, 0}: stored}); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestBookFollowsTheGroup: offsets that come again, or never, are noted, and
// promises that weren't kept.
func TestBookFollowsTheGroup(t *testing.T) {
	b := newBook()
	for _, offset := range []int64{0, 1, 2, 1, 2, 3, 5} {
		b.bill(record(orders, "c", fmt.Sprint(offset), offset))
	}
	p := place{orders, 0}
	if len(b.back) != 1 || b.back[0] != (step{p, 3, 1}) || len(b.skipped) != 1 || b.skipped[0] != (step{p, 4, 5}) || b.again() != 2 {
		t.Errorf("%+v", b)
	}
	b.ack(record(orders, "c", "0", 0), errors.New("no"))
	if len(b.failed) != 1 || len(b.acked) != 0 {
		t.Errorf("%+v", b)
	}
	out := new(bytes.Buffer)
	s := &story{out: out}
	b.carried = map[place]int64{p: 1}
	checkGoesOn(s, b, p)
	if s.checks != 2 || s.failed != 1 {
		t.Errorf("%d checks, %d failed:\n%s", s.checks, s.failed, out)
	}
	b.carried[p] = 2
	checkGoesOn(s, b, p)
	if s.failed != 3 {
		t.Errorf("%d failed:\n%s", s.failed, out)
	}
}
