package drill

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// history makes the events of one key: n are sent, and so on.
type history struct {
	sent             int64
	acked            []int64
	stored, consumed []int64
	elsewhere        []int64 // stored in another partition
}

func (h history) events() (es []Event) {
	k := Key{"t", "k"}
	for i := range h.sent {
		es = append(es, Event{Kind: Sent, Key: k, Sequence: i})
	}
	each := func(kind EventKind, partition int32, sequences []int64) {
		for _, i := range sequences {
			es = append(es, Event{Kind: kind, Key: k, Sequence: i, Partition: partition})
		}
	}
	each(Acked, 0, h.acked)
	each(Delivered, 0, h.consumed)
	each(Stored, 0, h.stored)
	each(Stored, 1, h.elsewhere)
	return es
}

func TestCount(t *testing.T) {
	all := []int64{0, 1, 2, 3}
	for name, c := range map[string]struct {
		h    history
		want Counts
	}{
		"nothing":     {history{}, Counts{}},
		"all is well": {history{4, all, all, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4}},
		"lost, first": {history{4, all, all[1:], all[1:], nil}, Counts{Sent: 4, Acked: 4, Stored: 3, Delivered: 3, Lost: 1}},
		"lost, last":  {history{4, all, all[:3], all[:3], nil}, Counts{Sent: 4, Acked: 4, Stored: 3, Delivered: 3, Lost: 1}},
		"lost, all":   {history{4, all, nil, nil, nil}, Counts{Sent: 4, Acked: 4, Lost: 4}},
		"in doubt, not there": {history{4, all[:2], all[:2], all[:2], nil},
			Counts{Sent: 4, Acked: 2, Stored: 2, Delivered: 2, InDoubt: 2}},
		"in doubt, there": {history{4, all[:2], all, all, nil},
			Counts{Sent: 4, Acked: 2, Stored: 4, Delivered: 4, InDoubt: 2, InDoubtStored: 2}},
		"doubled":                    {history{4, all, []int64{0, 1, 1, 2, 3}, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 5, Delivered: 4, Doubled: 1}},
		"doubled later, in order":    {history{4, all, []int64{0, 1, 2, 3, 1}, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 5, Delivered: 4, Doubled: 1}},
		"three times":                {history{4, all, []int64{0, 0, 0, 1, 2, 3}, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 6, Delivered: 4, Doubled: 2}},
		"reordered":                  {history{4, all, []int64{0, 2, 1, 3}, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4, Reordered: 1}},
		"one came early":             {history{4, all, []int64{3, 0, 1, 2}, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4, Reordered: 3}},
		"doubled and lost":           {history{4, all, []int64{0, 1, 1, 3}, []int64{0, 1, 3}, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 3, Lost: 1, Doubled: 1}},
		"redelivered":                {history{4, all, all, []int64{0, 1, 0, 1, 2, 3}, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 6, Redelivered: 2}},
		"skipped":                    {history{4, all, all, []int64{0, 3}, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 2, Skipped: 2}},
		"delivered, then lost":       {history{4, all, all[:3], all, nil}, Counts{Sent: 4, Acked: 4, Stored: 3, Delivered: 4, Lost: 1, Phantom: 1}},
		"in another partition":       {history{4, all, all[:3], all, all[3:]}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4, Moved: 1}},
		"nobody sent it":             {history{2, all[:2], all, all[:2], nil}, Counts{Sent: 2, Acked: 2, Stored: 2, Delivered: 2, Foreign: 2}},
		"acked in another order":     {history{4, []int64{3, 1, 0, 2}, all, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4}},
		"acked twice is acked once":  {history{4, []int64{0, 0, 1, 2, 3}, all, all, nil}, Counts{Sent: 4, Acked: 4, Stored: 4, Delivered: 4}},
		"a gap that is not acked":    {history{4, []int64{0, 3}, []int64{0, 3}, []int64{0, 3}, nil}, Counts{Sent: 4, Acked: 2, Stored: 2, Delivered: 2, InDoubt: 2}},
		"a negative sequence number": {history{1, all[:1], []int64{-1, 0}, all[:1], nil}, Counts{Sent: 1, Acked: 1, Stored: 1, Delivered: 1, Foreign: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Count(slices.Values(c.h.events()))
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Counts{}, "Examples")); diff != "" {
				t.Error(diff)
			}
			wrong := got.Lost + got.Doubled + got.Reordered + got.Moved + got.Foreign + got.Skipped + got.Phantom
			if (wrong > 0) != (len(got.Examples) > 0) {
				t.Errorf("%d wrong, examples %q", wrong, got.Examples)
			}
		})
	}
}

// Whatever is taken from, doubled in and swapped in a right log is counted, and nothing else is.
func TestCountMissesNothing(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		var events []Event
		var want Counts
		for _, name := range []string{"a", "b", "c"} {
			damage(random, Key{"t", name}, &events, &want)
		}
		got := Count(slices.Values(events))
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Counts{}, "Examples")); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// damage makes a key's events with random faults in them, and adds these to want.
func damage(random *rand.Rand, k Key, events *[]Event, want *Counts) {
	note := func(kind EventKind, sequence int64) {
		*events = append(*events, Event{Kind: kind, Key: k, Sequence: sequence})
	}
	n := 1 + random.Int64N(80)
	var log, delivered []int64
	for i := range n {
		note(Sent, i)
		want.Sent++
		acked, stored := random.IntN(10) > 0, random.IntN(10) > 0
		if acked {
			note(Acked, i)
			want.Acked++
		} else {
			want.InDoubt++
		}
		if stored {
			log = append(log, i)
		}
		switch {
		case stored && !acked:
			want.InDoubtStored++
		case !stored && acked:
			want.Lost++
		}
	}
	for i := 0; i+1 < len(log); i++ { // pairs that don't touch change places
		if random.IntN(8) == 0 {
			log[i], log[i+1] = log[i+1], log[i]
			want.Reordered++
			i++
		}
	}
	for _, i := range log {
		switch random.IntN(10) {
		case 0:
			want.Skipped++
			continue
		case 1:
			delivered = append(delivered, i)
			want.Redelivered++
		}
		delivered = append(delivered, i)
	}
	for range random.IntN(5) { // copies, anywhere behind the record itself
		if len(log) > 0 {
			i := random.IntN(len(log))
			log = slices.Insert(log, i+1+random.IntN(len(log)-i), log[i])
			want.Doubled++
		}
	}
	for _, i := range log {
		note(Stored, i)
	}
	for _, i := range delivered {
		note(Delivered, i)
	}
	want.Stored += int64(len(log))
	want.Delivered += int64(len(delivered))
}
