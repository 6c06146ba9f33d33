package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// edit writes a clusters file anew with other fields.
func edit(t testing.TB, file string, more map[string]any) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]any{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for k, v := range more {
		doc[k] = v
	}
	if raw, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clusters.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTypo: a mistyped scope, prefix or directory is refused by every command, which names what is
// beside it, and writes nothing.
func TestTypo(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	dir := filepath.Join(t.TempDir(), "register")
	at := func(prefix string) map[string]any {
		return map[string]any{"stores": []string{"file://" + dir}, "prefix": prefix}
	}
	right := clustersFileOf(t, a, b, map[string]any{"register": at("dr/")})
	if o := kdr(t, "status", "--clusters", right); o.code == 0 || !strings.Contains(o.stderr, "no such file") {
		t.Errorf("a directory that isn't there: exit %d\n%s", o.code, o.stderr)
	}
	doc := kdr(t, "--json", "init-scope", "--clusters", right).want(t, 0).json(t)
	wantAt(t, doc, true, "begun")
	before := tree(t, dir)
	for name, c := range map[string]struct {
		more map[string]any
		says string
	}{
		"scope":  {map[string]any{"scope": "shoop"}, "there are: shop"},
		"prefix": {map[string]any{"register": at("rd/")}, `there are: shop (prefix "dr/")`},
		"none":   {map[string]any{"register": at("")}, `there are: shop (prefix "dr/")`},
	} {
		wrong := edit(t, right, c.more)
		for _, args := range [][]string{
			{"failover", "--to", "b"}, {"failover", "--to", "b", "--dry-run"}, {"status"}, {"controller"}, {"mirror", "--from-name", "a", "--to-name", "b"}, {"failback"},
			{"init-scope", "--change"},
		} {
			o := kdr(t, append([]string{"--clusters", wrong}, args...)...).want(t, 4)
			if args[0] != "init-scope" && (!strings.Contains(o.stderr, c.says) || !strings.Contains(o.stderr, "kdr init-scope")) {
				t.Errorf("%s, %v: %s", name, args, o.stderr)
			}
		}
	}
	if after := tree(t, dir); after != before {
		t.Errorf("the store was written to:\n%s\nwas\n%s", after, before)
	}
}

// tree are a directory's files.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// TestInitScope: the first epoch carries lease, names and IDs; again it writes nothing, and says
// what differs; --change writes a pair of epochs, after which a switch knows the IDs that were
// added.
func TestInitScope(t *testing.T) {
	a, b := newSource(t, testkafka.Fake(t, testkafka.Options{}), ""), newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	a.create("orders", 1, nil)
	b.create("orders", 1, nil)
	file := clustersFileOf(t, a, b, nil)
	init := func(file string, more ...string) any {
		return kdr(t, append([]string{"--json", "init-scope", "--clusters", file}, more...)...).want(t, 0).json(t)
	}
	epoch := func(number int64) register.Epoch {
		e, err := registerOf(t, file).Get(t.Context(), "shop", number)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	doc := init(file)
	wantAt(t, doc, true, "begun")
	wantAt(t, doc, 1.0, "epoch")
	wantAt(t, doc, 2000.0, "lease_ms")
	if e := epoch(1); e.ActiveID != a.ID() || e.ID("b") != b.ID() || len(e.Clusters) != 2 {
		t.Errorf("%+v", e)
	}
	slower := edit(t, file, map[string]any{"lease": "3s"})
	doc = init(slower)
	wantAt(t, doc, false, "begun")
	if differs := at(t, doc, "differs").([]any); len(differs) != 1 || !strings.Contains(differs[0].(string), "2s") {
		t.Error(differs)
	}
	if _, err := registerOf(t, file).Get(t.Context(), "shop", 2); err == nil {
		t.Error("an epoch was written")
	}
	doc = init(slower, "--change")
	wantAt(t, doc, true, "changed")
	wantAt(t, doc, 3.0, "epoch")
	wantAt(t, doc, "a", "active")
	if closing, e := epoch(2), epoch(3); !closing.Closing() || !closing.Stays || e.Lease != 3e9 || e.ActiveID != a.ID() || e.ID("b") != b.ID() {
		t.Errorf("%+v\n%+v", closing, e)
	}
	wantAt(t, init(slower, "--change"), false, "changed")
	// The file that wasn't changed switches by the register's lease.
	o := kdr(t, "--clusters", file, "failover", "--to", "b", "--allow-unknown-rpo", "--dry-run")
	if !strings.Contains(o.stdout, "the scope's lease is 3s by its register") {
		t.Error(o.stdout, o.stderr)
	}
}

// TestRegisterStoreAway: of three directories one may be away, and isn't made anew; with two away
// nothing is known.
func TestRegisterStoreAway(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	dir := t.TempDir()
	var stores []string
	for _, name := range []string{"1", "2", "3"} {
		stores = append(stores, "file://"+filepath.Join(dir, name))
	}
	file := clustersFileOf(t, a, b, map[string]any{"register": map[string]any{"stores": stores}})
	kdr(t, "init-scope", "--clusters", file).want(t, 0)
	for n, name := range []string{"1", "2"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		o := kdr(t, "--json", "failover", "--clusters", file, "--to", "b", "--dry-run")
		if known := o.code == 0 || o.code == 4; known != (n == 0) || !strings.Contains(o.stderr, "is away") || strings.Contains(o.stderr, "has no epoch") {
			t.Errorf("%d away: exit %d\n%s", n+1, o.code, o.stderr)
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Error("a directory was made anew")
		}
	}
}

// TestInitScopeLater: a cluster that is away when the scope begins has its ID added by the next
// switch.
func TestInitScopeLater(t *testing.T) {
	a, b := newSource(t, testkafka.Fake(t, testkafka.Options{}), ""), newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	a.create("orders", 1, nil)
	b.create("orders", 1, nil)
	file := clustersFileOf(t, a, b, map[string]any{"clusters": []any{map[string]any{"name": "a", "brokers": a.Addrs()}, map[string]any{"name": "b", "brokers": []string{"127.0.0.1:1"}}}})
	doc := kdr(t, "--json", "init-scope", "--clusters", file).want(t, 0).json(t)
	if warnings := at(t, doc, "warnings").([]any); len(warnings) != 1 || !strings.Contains(warnings[0].(string), "b doesn't answer") {
		t.Error(warnings)
	}
	file = edit(t, file, map[string]any{"clusters": []any{map[string]any{"name": "a", "brokers": a.Addrs()}, map[string]any{"name": "b", "brokers": b.Addrs()}}})
	kdr(t, "--clusters", file, "failover", "--to", "b", "--allow-unknown-rpo").want(t, 0)
	reg := registerOf(t, file)
	e, err := register.Latest(context.Background(), reg, "shop")
	if err != nil || e.ActiveID != b.ID() || e.ID("a") != a.ID() || e.ID("b") != b.ID() {
		t.Errorf("%+v, %v", e, err)
	}
}
