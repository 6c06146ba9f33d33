package failover

import (
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMethods holds METHODS.md: each of kgo's methods once, those that are there with kgo's
// signature.
func TestMethods(t *testing.T) {
	text, err := os.ReadFile("METHODS.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (same|differs|absent) \\| \\S").FindAllStringSubmatch(string(text), -1) {
		if said[m[1]] != "" {
			t.Errorf("%s is there twice", m[1])
		}
		said[m[1]] = m[2]
	}
	theirs, ours := reflect.TypeFor[*kgo.Client](), reflect.TypeFor[*Client]()
	for i := range theirs.NumMethod() {
		want := theirs.Method(i)
		got, there := ours.MethodByName(want.Name)
		switch how := said[want.Name]; {
		case how == "":
			t.Errorf("%s isn't said", want.Name)
		case there != (how != "absent"):
			t.Errorf("%s: said to be %s, and is there: %v", want.Name, how, there)
		case there && signature(want.Type) != signature(got.Type):
			t.Errorf("%s: %s, want %s", want.Name, signature(got.Type), signature(want.Type))
		}
		delete(said, want.Name)
	}
	for name := range said {
		t.Errorf("%s isn't kgo's", name)
	}
}

// signature is a method's, without its receiver.
func signature(f reflect.Type) string {
	var in, out []reflect.Type
	for i := 1; i < f.NumIn(); i++ {
		in = append(in, f.In(i))
	}
	for i := range f.NumOut() {
		out = append(out, f.Out(i))
	}
	return reflect.FuncOf(in, out, f.IsVariadic()).String()
}
