package layering

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kafkadr/kafkadr/"

// pkg is what go list says of a package. Deps are all packages it links, directly or not.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// arrows say what packages (and those below them) must not link.
var arrows = []struct {
	from string
	not  []string
}{
	{"storage/batch", []string{"storage", "offsets", "backup", "restore", "mirror", "failover", "internal"}},
	{"storage/segment", []string{"storage", "offsets", "backup", "restore", "mirror", "failover", "internal"}},
	{"storage", []string{"offsets", "backup", "restore", "mirror", "failover", "internal/rawkafka", "internal/exactcopy", "internal/testkafka"}},
	{"internal/rawkafka", []string{"storage", "offsets", "backup", "restore", "mirror", "failover", "internal/exactcopy", "internal/testkafka"}},
	{"internal/exactcopy", []string{"storage", "offsets", "backup", "restore", "mirror", "failover", "internal/testkafka"}},
	{"internal/testkafka", []string{"storage", "offsets", "backup", "restore", "mirror", "failover", "internal/rawkafka", "internal/exactcopy"}},
	{"offsets", []string{"storage", "backup", "restore", "mirror", "failover"}},
	{"backup", []string{"restore", "mirror", "failover"}},
	{"restore", []string{"backup", "mirror", "failover"}},
	{"mirror", []string{"backup", "failover"}},
	{"failover", []string{"storage", "backup", "restore", "mirror"}},
	{"failover/drill/drilltest", []string{"backup"}}, // brings a mirror to the tests of others
}

// fromBelow are exceptions: a package may link these though they lie under a forbidden path.
var fromBelow = map[string][]string{
	"storage/batch":      {"storage/internal/unzstd"},
	"storage/segment":    {"storage/batch", "storage/internal/unzstd"},
	"internal/exactcopy": {"storage/batch", "storage/internal/unzstd"}, // batches are encoded and decoded in one place
	"internal/rawkafka":  {"storage/batch", "storage/internal/unzstd"},
	"offsets":            {"storage/batch", "storage/internal/unzstd"}, // through rawkafka
	"failover":           {"storage/batch", "storage/internal/unzstd"}, // through rawkafka and offsets
}

func TestArrows(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		a := arrowOf(name)
		if a < 0 {
			continue
		}
		for _, dep := range p.Deps {
			d, ours := strings.CutPrefix(dep, module)
			if ours && within(d, arrows[a].not...) && !within(d, arrows[a].from) && !within(d, fromBelow[arrows[a].from]...) {
				t.Errorf("%s links %s", name, d)
			}
		}
	}
}

// arrowOf is the index of the longest arrow that a package is under, or -1.
func arrowOf(name string) int {
	best := -1
	for i, a := range arrows {
		if within(name, a.from) && (best < 0 || len(a.from) > len(arrows[best].from)) {
			best = i
		}
	}
	return best
}

// TestLean holds what a library's user gets linked.
func TestLean(t *testing.T) {
	forbidden := []string{
		"github.com/aws", "cloud.google.com/go/storage", "github.com/Azure", "gocloud.dev/blob/s3blob", "gocloud.dev/blob/gcsblob", "gocloud.dev/blob/azureblob",
		"github.com/spf13", "github.com/urfave", "github.com/alecthomas", "github.com/prometheus", "go.opentelemetry.io/otel/exporters",
		"github.com/Shopify/toxiproxy",
	}
	for _, p := range list(t) {
		if within(p.ImportPath, module+"internal/testkafka/netfault") { // toxiproxy has them all; only tests import it
			continue
		}
		for _, dep := range p.Deps {
			if within(dep, forbidden...) {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
}

// TestNoTesting holds that only packages made for tests link what tests need.
func TestNoTesting(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if within(name, "restore/restoretest", "storage/storagetest", "storage/internal/batchtest", "failover/registertest", "failover/drill/drilltest", "internal/copyops/opstest", "internal/testkafka", "internal/testpass", "internal/faultbucket", "internal/metricnames", "examples") {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "testing" || within(dep, "github.com/twmb/franz-go/pkg/kfake", "go.uber.org/goleak", module+"internal/testkafka") {
				t.Errorf("%s links %s", name, dep)
			}
		}
	}
}

func within(name string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return name == r || strings.HasPrefix(name, r+"/") })
}

// list are the module's packages.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
