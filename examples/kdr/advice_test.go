package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// advice is what a user may read: a string constant of the library or of kdr, or a line of the
// documentation.
type advice struct {
	at, is string
	doc    bool
}

// sources is what the module's sources say.
type sources struct {
	texts    []advice
	declared map[string]bool            // every name of a type, function, field or constant
	exported map[string]map[string]bool // by package name, what is declared at its top, and its fields and methods
}

// TestAdvice: every command, flag, field and function that a text or the documentation names
// exists.
func TestAdvice(t *testing.T) {
	commands := commandsOf(newRoot(&app{stdout: io.Discard, stderr: &screen{w: io.Discard}}))
	tr := readSources(t)
	seen := 0
	for _, x := range tr.texts {
		for _, wrong := range slices.Concat(wrongCommands(x, commands, &seen), tr.wrongNames(x)) {
			t.Errorf("%s: %s: %q", x.at, wrong, x.is)
		}
	}
	if seen < 100 {
		t.Errorf("only %d commands and flags were found", seen)
	}
}

// TestAdviceFinds: what isn't there is found.
func TestAdviceFinds(t *testing.T) {
	commands := commandsOf(newRoot(&app{stdout: io.Discard, stderr: &screen{w: io.Discard}}))
	seen := 0
	for said, wrong := range map[string]bool{
		"run kdr restore --release":                 false,
		"run kdr restore --undo":                    true,
		"run kdr frobnicate":                        true,
		"kdr list --store URL --follow":             true,
		"kdr groups rollback --file F":              false,
		"kdr backup --follow; kdr mirror --retire.": false,
		"--no-such-flag means nothing":              true,
		"--max-rpo is for kdr failover":             false,
	} {
		if got := wrongCommands(advice{is: said}, commands, &seen); len(got) > 0 != wrong {
			t.Errorf("%q: %q", said, got)
		}
	}
	tr := &sources{declared: map[string]bool{"MaxHoleTime": true}, exported: map[string]map[string]bool{"restore": {"Release": true}}}
	for said, wrong := range map[string]bool{
		"set MaxHoleTime": false, "set MaxHoleWait": true, "a broker doesn't know DeleteRecords": false,
	} {
		if got := tr.wrongNames(advice{is: said}); len(got) > 0 != wrong {
			t.Errorf("%q: %q", said, got)
		}
	}
	for said, wrong := range map[string]bool{"call `restore.Release`": false, "call `restore.Undo`": true} {
		if got := tr.wrongNames(advice{is: said, doc: true}); len(got) > 0 != wrong {
			t.Errorf("%q: %q", said, got)
		}
	}
}

// commandsOf say of each command, by name, whether it has a flag; "" whether any has.
func commandsOf(root *cobra.Command) map[string]func(flag string) bool {
	commands := map[string]func(string) bool{"help": func(string) bool { return false }}
	for _, c := range root.Commands() {
		commands[c.Name()] = func(flag string) bool {
			return flag == "help" || hasFlag(c, flag) || root.PersistentFlags().Lookup(flag) != nil
		}
	}
	commands[""] = func(flag string) bool {
		return flag == "help" || hasFlag(root, flag) || root.PersistentFlags().Lookup(flag) != nil
	}
	return commands
}

// hasFlag looks at the command and at those below it, other names of flags included.
func hasFlag(c *cobra.Command, flag string) bool {
	return c.Flags().Lookup(flag) != nil || slices.ContainsFunc(c.Commands(), func(sub *cobra.Command) bool { return hasFlag(sub, flag) })
}

var (
	commandRE = regexp.MustCompile(`\bkdr ([a-z]+(?:-[a-z0-9]+)*)([^\x60;|\n]*)`)
	flagRE    = regexp.MustCompile(`(?:^|[\s"'(\x60{\[])--([a-z][a-z0-9-]*)`)
	// prose are words behind kdr that are no commands.
	prose = regexp.MustCompile(`^(backs|runs|shows|ended|doesn|doesnt|and|is|of|has|for|with|uses|on|in|to|as|or|the|process|then|says|itself|refuses|prints|exits|ends|has|writes|from|by|beside|was|at|that|built|can|needs|reads|takes|holds|killed|command|commands)$`)
	// others are flags of other programs that texts name.
	others = regexp.MustCompile(`^(cleaner-config|bootstrap-server|files|print-data-log|deep-iteration|verify-index-only|release|add|alter|entity-type|entity-name|add-config|add-scram|standalone|ignore-formatted|cluster-id|config|race|timeout)$`)
)

// wrongCommands are the commands and flags of a text that kdr doesn't have.
func wrongCommands(x advice, commands map[string]func(flag string) bool, seen *int) (wrong []string) {
	for _, m := range commandRE.FindAllStringSubmatch(x.is, -1) {
		name, rest := m[1], m[2]
		if prose.MatchString(name) {
			continue
		}
		*seen++
		has, ok := commands[name]
		if !ok {
			wrong = append(wrong, "no command "+name)
			continue
		}
		if other := strings.Index(rest, "kdr "); other >= 0 {
			rest = rest[:other]
		}
		for _, f := range flagRE.FindAllStringSubmatch(rest, -1) {
			if *seen++; !has(f[1]) {
				wrong = append(wrong, name+" has no flag --"+f[1])
			}
		}
	}
	for _, f := range flagRE.FindAllStringSubmatch(x.is, -1) {
		if *seen++; !x.doc && !commands[""](f[1]) && !others.MatchString(f[1]) {
			wrong = append(wrong, "no flag --"+f[1])
		}
	}
	return wrong
}

var (
	camelRE     = regexp.MustCompile(`\b[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b`)
	qualifiedRE = regexp.MustCompile(`\b([a-z]+)\.([A-Z][A-Za-z0-9]+)\b`)
	// words are names of others: Kafka's, and of programs.
	words = regexp.MustCompile(`^(MirrorMaker.*|LogAppendTime.*|CreateTime|ClusterAction|DescribeConfigs|AlterConfigs|MirrorSource.*|MirrorCheckpoint.*|OpenTelemetry|DumpLogSegments|WriteTxnMarkers|IdempotentWrite|DelegationToken|TransactionalId|PlainLoginModule|ScramLoginModule|OAuthBearer.*|RackAware.*|LocalTieredStorage|KRaft|MinIO|GoCloud|ApiVersions?|IdentityReplicationPolicy|ListOffsets.*)$`)
)

// wrongNames are the Go names of a text that nothing in the sources, and no request of Kafka's,
// has.
func (tr *sources) wrongNames(x advice) (wrong []string) {
	if x.doc {
		for _, m := range qualifiedRE.FindAllStringSubmatch(x.is, -1) {
			if names := tr.exported[m[1]]; names != nil && !names[m[2]] {
				wrong = append(wrong, "no "+m[0])
			}
		}
		return wrong
	}
	if !strings.Contains(x.is, " ") { // a key, a code, a name: no sentence
		return nil
	}
	for _, name := range camelRE.FindAllString(x.is, -1) {
		if !tr.declared[name] && !tr.declared[strings.TrimSuffix(name, "s")] && !words.MatchString(name) && !isRequest(name) {
			wrong = append(wrong, "no "+name)
		}
	}
	return wrong
}

func isRequest(name string) bool {
	for key := range int16(kmsg.MaxKey + 1) {
		if kmsg.NameForKey(key) == name {
			return true
		}
	}
	return false
}

// readSources reads all that isn't a test, or made for tests.
func readSources(t *testing.T) *sources {
	t.Helper()
	tr := &sources{declared: map[string]bool{}, exported: map[string]map[string]bool{}}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			skip := []string{".git", "internal/testkafka", "internal/tools", "examples/kdr/internal", "docs/results"}
			if slices.Contains(skip, rel) || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		case rel == "README.md" || rel == "DESIGN.md" || strings.HasPrefix(rel, "docs/") && strings.HasSuffix(rel, ".md"):
			return tr.document(path, rel)
		case strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go"):
			return tr.source(path, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *sources) document(path, rel string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(raw), "\n") {
		tr.texts = append(tr.texts, advice{rel + ":" + strconv.Itoa(i+1), line, true})
	}
	return nil
}

func (tr *sources) source(path, rel string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := tr.exported[file.Name.Name]
	if pkg == nil {
		pkg = map[string]bool{}
		tr.exported[file.Name.Name] = pkg
	}
	declare := func(id *ast.Ident) { tr.declared[id.Name], pkg[id.Name] = true, true }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			for _, id := range n.Names {
				declare(id)
			}
			if n.Tag != nil {
				n.Tag = nil
			}
		case *ast.TypeSpec:
			declare(n.Name)
		case *ast.FuncDecl:
			declare(n.Name)
		case *ast.ValueSpec:
			for _, id := range n.Names {
				declare(id)
			}
		case *ast.BinaryExpr:
			if s, ok := constantOf(n); ok {
				tr.texts = append(tr.texts, advice{rel + ":" + strconv.Itoa(set.Position(n.Pos()).Line), s, false})
				return false
			}
		case *ast.BasicLit:
			if s, ok := constantOf(n); ok {
				tr.texts = append(tr.texts, advice{rel + ":" + strconv.Itoa(set.Position(n.Pos()).Line), s, false})
			}
		}
		return true
	})
	return nil
}

// constantOf is the string of a constant, or of a sum of constants.
func constantOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		a, ok1 := constantOf(e.X)
		b, ok2 := constantOf(e.Y)
		return a + b, e.Op == token.ADD && ok1 && ok2
	}
	return "", false
}
