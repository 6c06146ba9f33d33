package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are the module's files but tests, by their paths from its root.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	const root = "../.."
	files := make(map[string]*ast.File)
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".", d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files[filepath.ToSlash(name)], err = parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestOneLoop holds that the loop alone speaks to the fetcher, and that both jobs that follow a
// cluster read by it.
func TestOneLoop(t *testing.T) {
	readers := make(map[string]bool)
	for name, file := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(name))
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := sel.X.(*ast.Ident)
			switch {
			case pkg == nil:
			case pkg.Name == "rawkafka" && (sel.Sel.Name == "NewFetcher" || sel.Sel.Name == "Fetcher") && dir != "internal/source":
				t.Errorf("%s uses rawkafka.%s: internal/source alone does", name, sel.Sel.Name)
			case pkg.Name == "source" && sel.Sel.Name == "NewLoop":
				readers[dir] = true
			}
			return true
		})
	}
	if got := slices.Sorted(maps.Keys(readers)); !slices.Equal(got, []string{"backup", "mirror"}) {
		t.Errorf("sinks of the loop: %v", got)
	}
}

// TestOneState holds that the stage of a partition that is followed is assigned in one place. The
// field isn't exported, so nobody else could.
func TestOneState(t *testing.T) {
	var assigned []string
	for name, file := range sources(t) {
		if !strings.HasPrefix(name, "internal/source/") {
			continue
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if a, ok := n.(*ast.AssignStmt); ok {
					for _, left := range a.Lhs {
						if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == "stage" {
							assigned = append(assigned, name+": "+f.Name.Name)
						}
					}
				}
				return true
			})
		}
	}
	if want := []string{"internal/source/following.go: Turn"}; !slices.Equal(assigned, want) {
		t.Errorf("assigned in %v, want %v", assigned, want)
	}
}

// TestOneEngine holds that only what runs makes an engine: plans and observations do without.
func TestOneEngine(t *testing.T) {
	var made []string
	for name, file := range sources(t) {
		if strings.HasPrefix(name, "mirror/") {
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "newEngine" {
						made = append(made, name)
					}
				}
				return true
			})
		}
	}
	if want := []string{"mirror/run.go"}; !slices.Equal(made, want) {
		t.Errorf("made in %v, want %v", made, want)
	}
}

// mostMethods is how many methods a type may have. Lower it where types have become smaller; a type
// that needs more is two.
const mostMethods = 115

// withMore may have more: the failover client has those of kgo's.
var withMore = map[string]int{"failover.Client": 130}

// TestMethods holds that no type grows beyond what a reader can keep in mind.
func TestMethods(t *testing.T) {
	methods := make(map[string]int)
	for name, file := range sources(t) {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil {
				methods[filepath.ToSlash(filepath.Dir(name))+"."+receiver(f.Recv.List[0].Type)]++
			}
		}
	}
	for name, n := range methods {
		if most := max(mostMethods, withMore[name]); n > most {
			t.Errorf("%s has %d methods, at most %d are allowed", name, n, most)
		}
	}
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
