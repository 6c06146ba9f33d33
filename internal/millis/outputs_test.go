package millis_test

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/mirror"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

// outputs are the types that jobs give out for programs to read, by package.
func outputs() map[string][]any {
	return map[string][]any{
		"backup":           {backup.Status{}, backup.Result{}, backup.Report{}},
		"restore":          {restore.Plan{}, restore.Result{}, restore.Status{}, restore.Released{}},
		"mirror":           {mirror.Plan{}, mirror.Status{}, mirror.Event{}, mirror.LastLag{}, mirror.RPO{}},
		"offsets":          {offsets.Groups{}, offsets.GroupsPlan{}, offsets.Result{}, offsets.Before{}},
		"storage":          {storage.Info{}, storage.SweepResult{}},
		"failover":         {failover.Status{}, failover.ClientReport{}},
		"failover/control": {control.Plan{}, control.Report{}, control.Status{}, control.Lag{}},
		"failover/probe":   {probe.Result{}, probe.Status{}},
		"failover/drill":   {drill.Evidence{}},
	}
}

// stored is what objects of a store are, whose names in JSON can't change any more.
var stored = []reflect.Type{reflect.TypeFor[register.Epoch]()}

// TestOutputs: every field of what jobs give out has a name in JSON, in snake_case, and a duration
// is in milliseconds and says so.
func TestOutputs(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, roots := range outputs() {
		for _, root := range roots {
			walk(t, reflect.TypeOf(root), seen)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}

func walk(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		walk(t, typ.Elem(), seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[typ] || slices.Contains(stored, typ) || !strings.HasPrefix(typ.PkgPath(), "github.com/kafkadr/") || marshals(typ) {
		return
	}
	seen[typ] = true
	for f := range fields(typ) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
			continue
		case f.Anonymous && name == "":
			walk(t, f.Type, seen)
			continue
		case !regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(name):
			t.Errorf("%v.%s: JSON name %q", typ, f.Name, name)
		}
		elem := f.Type
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice || elem.Kind() == reflect.Map {
			elem = elem.Elem()
		}
		switch elem {
		case reflect.TypeFor[time.Duration]():
			t.Errorf("%v.%s is a time.Duration: nanoseconds in JSON", typ, f.Name)
		case reflect.TypeFor[millis.Duration]():
			if !strings.HasSuffix(name, "_ms") {
				t.Errorf("%v.%s: JSON name %q doesn't say that it is milliseconds", typ, f.Name, name)
			}
		}
		walk(t, f.Type, seen)
	}
}

// fields are the exported ones.
func fields(typ reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range typ.NumField() {
			if f := typ.Field(i); (f.IsExported() || f.Anonymous) && !yield(f) {
				return
			}
		}
	}
}

// marshals says that the type makes its own JSON.
func marshals(typ reflect.Type) bool {
	own := []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
	return slices.ContainsFunc(own, func(m reflect.Type) bool { return typ.Implements(m) || reflect.PointerTo(typ).Implements(m) })
}

// TestOutputsAreAll: no type that by its name is an output is left out of TestOutputs.
func TestOutputsAreAll(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, roots := range outputs() {
		for _, root := range roots {
			walk(t, reflect.TypeOf(root), seen)
		}
	}
	known := map[string]bool{}
	for typ := range seen {
		known[strings.TrimPrefix(typ.PkgPath(), "github.com/kafkadr/kafkadr/")+"."+typ.Name()] = true
	}
	var names []string
	for _, dir := range slices.Sorted(maps.Keys(outputs())) {
		names = append(names, structs(t, dir, regexp.MustCompile(`(Result|Status|Plan|Report|Evidence)$`))...)
	}
	if len(names) < 20 {
		t.Errorf("only %q were found", names)
	}
	for _, name := range names {
		if !known[name] {
			t.Errorf("%s isn't looked at: name it in outputs", name)
		}
	}
}

// structs are the exported struct types of a package whose names match.
func structs(t *testing.T, dir string, name *regexp.Regexp) (found []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, fs.ErrNotExist, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() && name.MatchString(spec.Name.Name) {
				if _, ok := spec.Type.(*ast.StructType); ok {
					found = append(found, dir+"."+spec.Name.Name)
				}
			}
			return true
		})
	}
	return found
}
