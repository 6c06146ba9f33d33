package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// mem keeps entries as the log does: nodes back to back.
type mem struct{ entries [][]byte }

func (m *mem) load(_ context.Context, r Ref) ([]byte, error) {
	if r.Entry >= int64(len(m.entries)) || r.Position+r.Length > int64(len(m.entries[r.Entry])) {
		return nil, errors.New("no such node")
	}
	return m.entries[r.Entry][r.Position : r.Position+r.Length], nil
}

func (m *mem) commit(t *testing.T, tr *Tree) Ref {
	t.Helper()
	var entry []byte
	root, err := tr.Write(func(raw []byte) (Ref, error) {
		r := Ref{Entry: int64(len(m.entries)), Position: int64(len(entry))}
		entry = append(entry, raw...)
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.entries = append(m.entries, entry)
	return root
}

func scanAll(t *testing.T, tr *Tree, from, to []byte) (keys, vals []string) {
	t.Helper()
	for it, err := range tr.Scan(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		keys, vals = append(keys, string(it.Key)), append(vals, string(it.Value))
	}
	return keys, vals
}

// TestModel compares the tree with a map through random changes and commits, and old roots with
// what they held.
func TestModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m, model := &mem{}, map[string]string{}
	tr := At(m.load, Ref{})
	type old struct {
		root  Ref
		model map[string]string
	}
	var olds []old
	for round := range 60 {
		for range 200 {
			key := fmt.Sprintf("%c/%05d", 'a'+rnd.IntN(3), rnd.IntN(3000))
			if rnd.IntN(100) < 20+60*(round/30) {
				delete(model, key)
				if err := tr.Delete(t.Context(), []byte(key)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			val := fmt.Sprint(rnd.Int()) + string(bytes.Repeat([]byte{'x'}, rnd.IntN(40)))
			if rnd.IntN(500) == 0 {
				val = string(bytes.Repeat([]byte{'y'}, 5000))
			}
			model[key] = val
			if err := tr.Set(t.Context(), []byte(key), []byte(val)); err != nil {
				t.Fatal(err)
			}
		}
		root := m.commit(t, tr)
		if round%20 == 0 {
			c := map[string]string{}
			for k, v := range model {
				c[k] = v
			}
			olds = append(olds, old{root, c})
		}
		tr = At(m.load, root)
		check(t, tr, model)
	}
	for _, o := range olds {
		check(t, At(m.load, o.root), o.model)
	}
	for key := range model {
		if err := tr.Delete(t.Context(), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if root := m.commit(t, tr); !root.IsZero() {
		t.Fatalf("root of the emptied map: %+v", root)
	}
}

func check(t *testing.T, tr *Tree, model map[string]string) {
	t.Helper()
	var want []string
	for k := range model {
		want = append(want, k)
	}
	slices.Sort(want)
	keys, vals := scanAll(t, tr, nil, nil)
	if !slices.Equal(keys, want) {
		t.Fatalf("%d keys, want %d", len(keys), len(want))
	}
	for i, k := range keys {
		if vals[i] != model[k] {
			t.Fatalf("value of %s", k)
		}
	}
	part, _ := scanAll(t, tr, []byte("a/01"), []byte("b/02"))
	lo, _ := slices.BinarySearch(want, "a/01")
	hi, _ := slices.BinarySearch(want, "b/02")
	if !slices.Equal(part, want[lo:hi]) {
		t.Fatalf("range has %d keys, want %d", len(part), hi-lo)
	}
	for _, k := range want[:min(20, len(want))] {
		if v, ok, err := tr.Get(t.Context(), []byte(k)); err != nil || !ok || string(v) != model[k] {
			t.Fatalf("get %s: %v %v", k, ok, err)
		}
	}
}

func TestSetSameValueWritesNothing(t *testing.T) {
	m := &mem{}
	tr := At(m.load, Ref{})
	for i := range 1000 {
		if err := tr.Set(t.Context(), fmt.Appendf(nil, "%04d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	root := m.commit(t, tr)
	if err := tr.Set(t.Context(), []byte("0500"), []byte("value")); err != nil {
		t.Fatal(err)
	}
	if err := tr.Delete(t.Context(), []byte("none")); err != nil {
		t.Fatal(err)
	}
	if again := m.commit(t, tr); again != root || len(m.entries[1]) != 0 {
		t.Fatalf("%d bytes were written", len(m.entries[1]))
	}
}

// TestDamage flips every byte: no scan may return anything else than what was written.
func TestDamage(t *testing.T) {
	m := &mem{}
	tr := At(m.load, Ref{})
	for i := range 100 {
		_ = tr.Set(t.Context(), fmt.Appendf(nil, "%04d", i), []byte("value"))
	}
	root := m.commit(t, tr)
	for i := range m.entries[0] {
		m.entries[0][i] ^= 1
		found := false
		for _, err := range At(m.load, root).Scan(t.Context(), nil, nil) {
			var damage *DamageError
			found = found || errors.As(err, &damage)
		}
		if !found {
			t.Fatalf("byte %d: not found", i)
		}
		m.entries[0][i] ^= 1
	}
}

func FuzzNode(f *testing.F) {
	n := &node{keys: [][]byte{[]byte("a"), []byte("ab")}, vals: [][]byte{[]byte("1"), nil}}
	f.Add(n.encode())
	in := &node{level: 1, keys: n.keys, kids: []kid{{ref: Ref{Entry: 1, Length: 9}}, {ref: Ref{Entry: 2, Length: 9}}}}
	f.Add(in.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		self := Ref{Entry: 5, Position: 100}
		n, err := parseNode(raw, self)
		if err != nil {
			return
		}
		again, err := parseNode(n.encode(), self)
		if err != nil || len(again.keys) != len(n.keys) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}
