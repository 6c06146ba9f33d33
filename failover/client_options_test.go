package failover

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClusterOptions gives clusters options that are the application's: they are refused, by name,
// before any I/O.
func TestClusterOptions(t *testing.T) {
	cluster := func(opts ...kgo.Opt) Cluster {
		return Cluster{Name: "a", Opts: append([]kgo.Opt{kgo.SeedBrokers("127.0.0.1:1"), kgo.ClientID("x"), kgo.ProducerLinger(1)}, opts...)}
	}
	for name, opts := range map[string][]kgo.Opt{
		"WithHooks": {kgo.WithHooks(addsHeader{})}, "ConsumerGroup": {kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t")}, "ConsumeTopics": {kgo.ConsumeTopics("t")},
		"ConsumePartitions": {kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset()}})}, "TransactionalID": {kgo.TransactionalID("x")},
		"InstanceID": {kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.InstanceID("i")},
	} {
		_, err := Config{Clusters: []Cluster{cluster(opts...)}}.complete()
		var faults *ConfigError
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), "Clusters[0] has kgo."+name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cl := cluster()
	cl.Paths = [][]kgo.Opt{{kgo.SeedBrokers("127.0.0.1:1")}, {kgo.SeedBrokers("127.0.0.1:1"), kgo.WithHooks(addsHeader{})}}
	if _, err := (Config{Clusters: []Cluster{cl}}).complete(); err == nil {
		t.Error("hooks of a further path are taken")
	}
	if _, err := (Config{Clusters: []Cluster{cluster()}, Alone: true, Opts: []kgo.Opt{kgo.WithHooks(addsHeader{}), kgo.ConsumerGroup("g")}}).complete(); err != nil {
		t.Error(err)
	}
}

// TestOptionsTable holds METHODS.md's table of options: each of kgo's once, those that are refused
// are.
func TestOptionsTable(t *testing.T) {
	text, err := os.ReadFile("METHODS.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (cluster|opts|either|refused|ignored) \\|").FindAllStringSubmatch(string(text), -1) {
		if said[m[1]] != "" {
			t.Errorf("%s is there twice", m[1])
		}
		said[m[1]] = m[2]
	}
	held := map[string]string{}
	for place, options := range map[string][]any{"opts": applications, "cluster": clustersOwn, "refused": unsupported} {
		for _, o := range options {
			held[optionName(o)] = place
		}
	}
	for name := range kgoOptions(t) {
		switch {
		case said[name] == "":
			t.Errorf("%s isn't said", name)
		case held[name] != "" && said[name] != held[name], held[name] == "" && said[name] != "either" && said[name] != "ignored":
			t.Errorf("%s: said to be %s, and is %q", name, said[name], held[name])
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("%s isn't kgo's", name)
	}
}

// kgoOptions are kgo's functions that give an option, by its source.
func kgoOptions(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/twmb/franz-go/pkg/kgo").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	options := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Type.Results == nil || len(fn.Type.Results.List) != 1 {
				continue
			}
			if result, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && slices.Contains([]string{"Opt", "ProducerOpt", "ConsumerOpt", "GroupOpt"}, result.Name) {
				options[fn.Name.Name] = true
			}
		}
	}
	if len(options) < 100 {
		t.Fatalf("%d options are found", len(options))
	}
	return options
}

// TestMisplacedOptions gives options where they would do harm: each is refused by name, before any
// I/O.
func TestMisplacedOptions(t *testing.T) {
	cluster := Cluster{Name: "a", Opts: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}}
	callback := func(context.Context, *kgo.Client, map[string][]int32) {}
	for _, x := range []struct {
		want    string
		cluster []kgo.Opt
		opts    []kgo.Opt
	}{
		{"Opts has kgo.SeedBrokers:", nil, []kgo.Opt{kgo.SeedBrokers("127.0.0.1:2")}},
		{"Opts has kgo.ShareGroup:", nil, []kgo.Opt{kgo.ShareGroup("s"), kgo.ConsumeTopics("t")}},
		{"Clusters[0] has kgo.GroupOpt:", []kgo.Opt{kgo.OnPartitionsRevoked(callback)}, nil},
		{"Clusters[0] has kgo.OnPartitionsLost:", []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.OnPartitionsLost(callback)}, nil},
		{"Clusters[0] has kgo.ConsumeRegex:", []kgo.Opt{kgo.ConsumeRegex()}, nil},
	} {
		with := cluster
		with.Opts = append(slices.Clone(cluster.Opts), x.cluster...)
		_, err := Config{Clusters: []Cluster{with}, Opts: x.opts}.complete()
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", x.want, err)
		}
	}
}
