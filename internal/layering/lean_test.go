package layering

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oneLine are programs that do nothing but make a client: what they link is what an application
// gets linked.
var oneLine = map[string]string{
	"plain": `package main

import "github.com/twmb/franz-go/pkg/kgo"

func main() { _, _ = kgo.NewClient(kgo.SeedBrokers("a:9092")) }
`,
	"failover": `package main

import (
	"context"

	"github.com/kafkadr/kafkadr/failover"
)

func main() { _, _ = failover.NewClient(context.Background(), failover.Config{}) }
`,
}

// TestLeanClient holds what a failover client adds to a program: no object store's packages, no
// HTTP, at most 10 modules in all, and at most 1.3 times the size of a program with kgo's own
// client.
func TestLeanClient(t *testing.T) {
	dir, err := os.MkdirTemp(".", "_lean") // in the module, whose go.mod says which versions; "./..." passes it over
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	size := map[string]int64{}
	for name, program := range oneLine {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "main.go"), []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		binary := filepath.Join(t.TempDir(), name)
		run(t, at, "go", "build", "-o", binary, ".")
		info, err := os.Stat(binary)
		if err != nil {
			t.Fatal(err)
		}
		size[name] = info.Size()
	}
	lean := filepath.Join(dir, "failover")
	for dep := range strings.FieldsSeq(run(t, lean, "go", "list", "-deps", ".")) {
		if within(dep, "gocloud.dev", "net/http", "google.golang.org", "go.opentelemetry.io") {
			t.Errorf("a failover client links %s", dep)
		}
	}
	modules := strings.Fields(run(t, lean, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	slices.Sort(modules)
	modules = slices.Compact(modules)
	ratio := float64(size["failover"]) / float64(size["plain"])
	t.Logf("%d bytes, %.2f of kgo's %d; %d modules: %s", size["failover"], ratio, size["plain"], len(modules), strings.Join(modules, " "))
	if ratio > 1.3 {
		t.Errorf("the program has %.2f times the size of one with kgo's client; at most 1.3", ratio)
	}
	if len(modules) > 10 {
		t.Errorf("the program links %d modules; at most 10", len(modules))
	}
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return string(out)
}
