package register_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/register"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func first(scope string) register.Epoch {
	return register.Epoch{Scope: scope, Number: 1, Active: "a", By: "test", At: at}
}

// closing and opening are the epochs of a switch behind another epoch.
func closing(e register.Epoch, target string) register.Epoch {
	return register.Epoch{Scope: e.Scope, Number: e.Number + 1, From: e.Active, Target: target, Switch: fmt.Sprint("s", e.Number), By: "test", At: at}
}

func opening(e register.Epoch, active string, forks ...register.Fork) register.Epoch {
	return register.Epoch{Scope: e.Scope, Number: e.Number + 1, Active: active, ActiveID: "id", From: e.From, Target: e.Target, Switch: e.Switch, By: "test", At: at, Forks: forks}
}

// chain are the first n epochs of a scope, which goes from a to b and back.
func chain(scope string, n int) []register.Epoch {
	es := []register.Epoch{first(scope)}
	for len(es) < n {
		last := es[len(es)-1]
		switch {
		case last.Closing():
			es = append(es, opening(last, last.Target, register.Fork{Topic: "t", Offset: last.Number}))
		case last.Active == "a":
			es = append(es, closing(last, "b"))
		default:
			es = append(es, closing(last, "a"))
		}
	}
	return es
}

func TestFork(t *testing.T) {
	var e register.Epoch
	for topic := range 50 {
		for p := range 7 {
			e.Forks = append(e.Forks, register.Fork{Topic: fmt.Sprint("t", topic), Partition: int32(2 * p), Offset: int64(topic*100 + p)})
		}
	}
	register.SortForks(e.Forks)
	for topic := range 50 {
		for p := range 14 {
			offset, ok := e.Fork(fmt.Sprint("t", topic), int32(p))
			if ok != (p%2 == 0) || ok && offset != int64(topic*100+p/2) {
				t.Fatal(topic, p, offset, ok)
			}
		}
	}
	if _, ok := e.Fork("none", 0); ok {
		t.Fatal("a fork of a topic that has none")
	}
}

func TestCheckScope(t *testing.T) {
	for _, s := range []string{"a", "0", "orders", "eu-central-1.orders", "a--b", "a.b.c", strings.Repeat("x", 100)} {
		if err := register.CheckScope(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "A", "a_b", "a/b", "..", ".", "-a", "a-", "a.", ".a", "a..b", "a-.b", "a.-b", "ä", "a b", "a\x00", strings.Repeat("x", 101)} {
		var invalid *register.InvalidError
		if err := register.CheckScope(s); !errors.As(err, &invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestInvalid: epochs that are no epochs, by themselves.
func TestInvalid(t *testing.T) {
	es := chain("s", 3)
	for name, change := range map[string]func(es []register.Epoch) register.Epoch{
		"number 0":           func(es []register.Epoch) register.Epoch { es[0].Number = 0; return es[0] },
		"number -1":          func(es []register.Epoch) register.Epoch { es[1].Number = -1; return es[1] },
		"scope":              func(es []register.Epoch) register.Epoch { es[0].Scope = "../x"; return es[0] },
		"first closes":       func(es []register.Epoch) register.Epoch { es[0].Active = ""; return es[0] },
		"first in a switch":  func(es []register.Epoch) register.Epoch { es[0].From = "b"; return es[0] },
		"first has forks":    func(es []register.Epoch) register.Epoch { es[0].Forks = es[2].Forks; return es[0] },
		"no from":            func(es []register.Epoch) register.Epoch { es[1].From = ""; return es[1] },
		"no switch":          func(es []register.Epoch) register.Epoch { es[2].Switch = ""; return es[2] },
		"to itself":          func(es []register.Epoch) register.Epoch { es[1].Target = es[1].From; return es[1] },
		"closing with forks": func(es []register.Epoch) register.Epoch { es[1].Forks = es[2].Forks; return es[1] },
		"a third cluster":    func(es []register.Epoch) register.Epoch { es[2].Active = "c"; return es[2] },
		"not UTF-8":          func(es []register.Epoch) register.Epoch { es[0].By = "\xff"; return es[0] },
		"control character":  func(es []register.Epoch) register.Epoch { es[0].Active = "a\x00"; return es[0] },
		"a long name":        func(es []register.Epoch) register.Epoch { es[0].Active = strings.Repeat("a", 256); return es[0] },
		"a long reason":      func(es []register.Epoch) register.Epoch { es[0].Reason = strings.Repeat("a", 4097); return es[0] },
		"year":               func(es []register.Epoch) register.Epoch { es[0].At = at.AddDate(9000, 0, 0); return es[0] },
		"fork without topic": func(es []register.Epoch) register.Epoch { es[2].Forks[0].Topic = ""; return es[2] },
		"negative partition": func(es []register.Epoch) register.Epoch { es[2].Forks[0].Partition = -1; return es[2] },
		"negative offset":    func(es []register.Epoch) register.Epoch { es[2].Forks[0].Offset = -1; return es[2] },
		"a fork twice": func(es []register.Epoch) register.Epoch {
			es[2].Forks = append(es[2].Forks, es[2].Forks[0])
			return es[2]
		},
		"forks out of order": func(es []register.Epoch) register.Epoch {
			es[2].Forks = append(es[2].Forks, register.Fork{Topic: "s"})
			return es[2]
		},
		"too large": func(es []register.Epoch) register.Epoch {
			for i := range 12_000 { // six bytes of JSON for each byte
				es[2].Forks = append(es[2].Forks, register.Fork{Topic: strings.Repeat("<", 249), Partition: int32(i)})
			}
			return es[2]
		},
	} {
		e := change([]register.Epoch{first("s"), closing(es[0], "b"), opening(es[1], "b", register.Fork{Topic: "t"})})
		_, err := register.Encode(e)
		var invalid *register.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := register.NewMemory().Create(t.Context(), e); !errors.As(err, &invalid) {
			t.Errorf("%s: Create: %v", name, err)
		}
	}
}

func TestCheckNext(t *testing.T) {
	es := chain("s", 5)
	for i := range len(es) - 1 {
		noError(t, register.CheckNext(es[i], es[i+1]))
	}
	noError(t, register.CheckNext(es[1], opening(es[1], "a"))) // given up
	other := es[2]
	other.Switch = "another"
	far := es[2]
	far.Number = 4
	again := closing(es[2], "a")
	again.Switch = es[2].Switch
	for name, pair := range map[string][2]register.Epoch{
		"no closing epoch":    {es[0], es[2]},
		"closed twice":        {es[1], closing(es[1], "b")},
		"another switch":      {es[1], other},
		"a gap":               {es[1], far},
		"the same":            {es[1], es[1]},
		"back":                {es[2], es[1]},
		"another scope":       {es[1], opening(closing(first("other"), "b"), "b")},
		"from one that isn't": {es[2], closing(es[0], "b")},
		"a switch that was":   {es[2], again},
	} {
		var invalid *register.InvalidError
		if err := register.CheckNext(pair[0], pair[1]); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCodec(t *testing.T) {
	for _, e := range chain("s", 3) {
		raw, err := register.Encode(e)
		noError(t, err)
		got, err := register.Decode("key", "s", e.Number, raw)
		noError(t, err)
		if diff := cmp.Diff(e, got); diff != "" || !e.Equal(got) {
			t.Fatal(diff)
		}
	}
	local := first("s")
	local.At = time.Now().In(time.FixedZone("far", 3600))
	raw, err := register.Encode(local)
	noError(t, err)
	if got, err := register.Decode("key", "s", 1, raw); err != nil || !got.Equal(local) {
		t.Fatal(got, err)
	}
}

// TestGolden: version 1 is read for ever.
func TestGolden(t *testing.T) {
	const golden = `{"version":1,"scope":"orders","number":3,"active":"b","active_id":"MkU3OEVBNTcwNTJENDM2Qg","from":"a","target":"b","switch":"f3","planned":true,` +
		`"by":"host/1","reason":"drill","at":"2026-03-01T12:00:00.123456789Z","forks":[{"topic":"t","partition":1,"offset":42}]}`
	want := register.Epoch{
		Scope: "orders", Number: 3, Active: "b", ActiveID: "MkU3OEVBNTcwNTJENDM2Qg", From: "a", Target: "b", Switch: "f3", Planned: true,
		By: "host/1", Reason: "drill", At: at, Forks: []register.Fork{{Topic: "t", Partition: 1, Offset: 42}},
	}
	got, err := register.Decode("key", "orders", 3, []byte(golden))
	noError(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if raw, err := register.Encode(want); err != nil || string(raw) != golden {
		t.Fatal(string(raw), err)
	}
}

func TestDamage(t *testing.T) {
	good, err := register.Encode(first("s"))
	noError(t, err)
	with := func(key string, value any) string {
		var m map[string]any
		noError(t, json.Unmarshal(good, &m))
		m[key] = value
		raw, err := json.Marshal(m)
		noError(t, err)
		return string(raw)
	}
	for text, want := range map[string]any{
		"":                      new(*register.DamageError),
		"null":                  new(*register.DamageError),
		"{}":                    new(*register.DamageError),
		"[]":                    new(*register.DamageError),
		string(good) + "x":      new(*register.DamageError),
		string(good[:50]):       new(*register.DamageError),
		with("version", 0):      new(*register.DamageError),
		with("version", -1):     new(*register.DamageError),
		with("version", "1"):    new(*register.DamageError),
		with("scope", "other"):  new(*register.DamageError),
		with("number", 2):       new(*register.DamageError),
		with("number", 1.5):     new(*register.DamageError),
		with("active", ""):      new(*register.DamageError),
		with("by", "\x01"):      new(*register.DamageError),
		with("at", "yesterday"): new(*register.DamageError),
		strings.Replace(string(good), "test", "\xff", 1): new(*register.DamageError),
		`{"version":2,"epoch":{"number":[]}}`:            new(*register.VersionError),
		with("version", 2):                               new(*register.VersionError),
		strings.Repeat(" ", 16<<20) + string(good):       new(*register.DamageError),
	} {
		_, err := register.Decode("the/key", "s", 1, []byte(text))
		if !errors.As(err, want) || !strings.Contains(err.Error(), "the/key") {
			t.Errorf("%.100s: %v", text, err)
		}
	}
	_, err = register.Decode("key", "s", 1, []byte(with("new_field", map[string]any{"a": 1})))
	noError(t, err)
}

// FuzzEpoch: what is read is sound, and the same when written again.
func FuzzEpoch(f *testing.F) {
	for _, e := range chain("s", 4) {
		raw, err := register.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("s", e.Number, raw)
	}
	f.Add("s", int64(1), []byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, scope string, number int64, raw []byte) {
		e, err := register.Decode("key", scope, number, raw)
		if err != nil {
			var damage *register.DamageError
			var version *register.VersionError
			if !errors.As(err, &damage) && !errors.As(err, &version) {
				t.Fatal(err)
			}
			return
		}
		again, err := register.Encode(e)
		noError(t, err)
		got, err := register.Decode("key", scope, number, again)
		noError(t, err)
		if !got.Equal(e) {
			t.Fatal(cmp.Diff(e, got))
		}
	})
}
