package mirrorprom

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/kafkadr/kafkadr/mirror"
)

// TestKinds holds that kinds are those that the mirror, and what it keeps in step, declare.
func TestKinds(t *testing.T) {
	want := slices.Concat(declared(t, "../event.go", "EventKind"), declared(t, "../internal/instep/report.go", "Kind"))
	if len(want) < 30 {
		t.Fatalf("only %v are found", want)
	}
	got := kinds()
	for _, k := range want {
		if !slices.Contains(got, k) {
			t.Errorf("%s is missing", k)
		}
	}
	for _, k := range got {
		if !slices.Contains(want, k) {
			t.Errorf("%s is no kind of event", k)
		}
	}
}

// declared are the values of a file's constants of a string type.
func declared(t *testing.T, file, typ string) (values []mirror.EventKind) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typ {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, mirror.EventKind(text))
		}
		return true
	})
	return values
}
