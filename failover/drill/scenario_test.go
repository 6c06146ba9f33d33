package drill

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every built-in scenario is valid, and the same after a way through JSON.
func TestScenarios(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Scenarios() {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		if names[s.Name] || s.About == "" {
			t.Errorf("%s: twice, or without an explanation", s.Name)
		}
		names[s.Name] = true
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if found, ok := Find(s.Name); !ok || !cmp.Equal(found, s) {
			t.Errorf("%s isn't found", s.Name)
		}
	}
	if _, ok := Find("none"); ok {
		t.Error("found a scenario that isn't there")
	}
}

func TestScaled(t *testing.T) {
	s, _ := Find("mirror_behind")
	twice := s.Scaled(2)
	if twice.Faults[1].After != Duration(4*time.Second) || s.Faults[1].After != Duration(2*time.Second) {
		t.Errorf("%v of %v", twice.Faults, s.Faults)
	}
	flapping, _ := Find("primary_flapping")
	byDefault := flapping.Scaled(1)
	byDefault.Faults[0].Every = 0
	for want, s := range map[time.Duration]Scenario{500 * time.Millisecond: flapping, 2 * defaultEvery: byDefault} {
		if twice := s.Scaled(2); twice.Faults[0].Every != Duration(want) {
			t.Errorf("flaps every %v, want %v", twice.Faults[0].Every, want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"a","expect":"stay","planned":true}`:                  "",
		`{"name":"a","expect":"stay","planned":true,"after":"1500ms"}`: "",
		`{"name":"a","expect":"stay","planned":true,"after":"soon"}`:   `invalid duration "soon"`,
		`{"name":"a","expect":"stay","planned":true,"budget":{}}`:      `unknown field "budget"`,
		`{"name":"a","expect":"stay","planned":true} {}`:               "more than one document",
		`[]`:                            "cannot unmarshal array",
		`{"name":"A","expect":"maybe"}`: `name "A" isn't of lower-case letters, digits and underscores; expect "maybe" is none of switch, stay, either; nothing happens`,
		`{"name":"a","expect":"switch","faults":[{"kind":"burn","on":"mirror","brokers":[1]},{"kind":"slow","on":"primary","from":"noon"}]}`: `faults[0]: kind "burn" is none of kill, blackhole, slow, flap; faults[0]: the mirror has no brokers; faults[1]: from "noon" is not closing; faults[1]: latency is for slow`,
		`{"name":"a","expect":"stay","planned":true,"load":{"rate":-1,"keys":-1,"size":10,"topics":["a","a",""]}}`:                           "load.keys is negative; load.rate is negative; load.size 10 is less than 64; load.producers 1 are more than the -1 keys; load.topics has an empty name; load.topics has a name twice",
		`{"name":"a","expect":"stay","planned":true,"budgets":{"lost":-1,"rpo_records":-1},"max_rpo":-1,"settle":"-1s"}`:                     "max_rpo is negative; settle is negative; budgets.lost is negative; budgets.rpo_records is negative",
		`{"name":"a","expect":"stay","faults":[{"kind":"kill","on":"register","after":"-1s","every":"1s","brokers":[-1]}]}`:                  "a time is negative; faults[0]: every is for flap; faults[0]: the register has no brokers; faults[0]: a broker's index is negative",
	} {
		_, err := Parse([]byte(text))
		var invalid *InvalidError
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v; want %s", text, err, want)
		case errors.As(err, &invalid) && len(invalid.Unwrap()) == 0:
			t.Errorf("%s: no faults", text)
		}
	}
}

func TestFaultString(t *testing.T) {
	for want, f := range map[string]Fault{
		"kill of the primary": {Kind: Kill, On: Primary},
		"slow of brokers [1 2] of the standby by 20ms, for 1s": {Kind: Slow, On: Standby, Brokers: []int{1, 2}, Latency: Duration(20 * time.Millisecond), For: Duration(time.Second)},
	} {
		if f.String() != want {
			t.Errorf("%s; want %s", f, want)
		}
	}
}
