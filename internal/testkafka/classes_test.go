package testkafka

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestArchived: an archive that couldn't be made is an empty file, which isn't tried again and not
// used.
func TestArchived(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classes.jsa")
	for _, c := range []struct {
		content *string
		path    string
		tried   bool
	}{{nil, "", false}, {new(string), "", true}, {&path, path, true}} {
		if c.content != nil {
			if err := os.WriteFile(path, []byte(*c.content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, tried := archived(path); got != c.path || tried != c.tried {
			t.Errorf("%q, %v, want %q, %v", got, tried, c.path, c.tried)
		}
	}
}

// TestFingerprint: another JVM or other jars have another archive.
func TestFingerprint(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	var prints []string
	for _, j := range []java{{bin: a, libs: b}, {bin: b, libs: a}, {bin: a, libs: a}} {
		prints = append(prints, j.fingerprint())
	}
	slices.Sort(prints)
	if len(slices.Compact(prints)) != 3 {
		t.Errorf("%q", prints)
	}
}
