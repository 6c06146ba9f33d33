package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// archived is an archive of a filled kfake.
type archived struct {
	*source
	dir, url, snapshot string
	records            int
}

func backedUpFake(t *testing.T) *archived {
	t.Helper()
	a := &archived{source: newSource(t, testkafka.Fake(t, testkafka.Options{}), ""), dir: filepath.Join(t.TempDir(), "archive")}
	a.url = "file://" + a.dir
	a.records = a.fill(100)
	doc := kdr(t, "backup", "--brokers", a.brokers(), "--store", a.url, "--json").want(t, 0).json(t)
	a.snapshot = doc["snapshot"].(string)
	return a
}

// fields fails the test unless the document has the fields, and returns their values.
func fields(t *testing.T, doc map[string]any, names ...string) map[string]any {
	t.Helper()
	got := make(map[string]any)
	for _, name := range names {
		v, ok := doc[name]
		if !ok {
			t.Errorf("no field %s in %v", name, doc)
		}
		got[name] = v
	}
	return got
}

func TestBackup(t *testing.T) {
	s := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	s.fill(100)
	url := "file://" + filepath.Join(t.TempDir(), "new", "archive")
	doc := kdr(t, "backup", "--brokers", s.brokers(), "--store", url, "--json").want(t, 0).json(t)
	// 300 orders, and 30 records of payments with a marker for each transaction.
	got := fields(t, doc, "topics", "partitions", "records", "objects", "gaps", "complete", "left_out")
	want := map[string]any{"topics": 3.0, "partitions": 6.0, "records": 340.0, "objects": 1.0, "gaps": []any{}, "complete": true, "left_out": []any{}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	fields(t, doc, "snapshot", "bytes", "duration_ms", "cluster_id", "created_at")

	s.send("orders", 3, 10)
	doc = kdr(t, "backup", "--from", s.brokers(), "--store", url, "--json", "--exclude", "pay.*", "--rate", "10MiB").want(t, 0).json(t)
	if got := fields(t, doc, "records", "left_out"); got["records"] != 30.0 || !cmp.Equal(got["left_out"], []any{"payments"}) {
		t.Errorf("the second backup: %v", got)
	}
	if o := kdr(t, "backup", "--brokers", s.brokers(), "--store", url).want(t, 0); !strings.HasPrefix(o.stdout, "snapshot ") {
		t.Errorf("standard output: %q", o.stdout)
	}
}

func TestListAndShow(t *testing.T) {
	a := backedUpFake(t)
	var infos []map[string]any
	decode(t, kdr(t, "list", "--store", a.url, "--json").want(t, 0).stdout, &infos)
	if len(infos) != 1 || infos[0]["snapshot"] != a.snapshot || infos[0]["cluster_id"] != a.ID() {
		t.Errorf("list: %v", infos)
	}
	fields(t, infos[0], "created_at", "topics", "records", "bytes")
	if o := kdr(t, "list", "--store", a.url).want(t, 0); !strings.Contains(o.stdout, a.snapshot) {
		t.Errorf("list: %s", o.stdout)
	}

	for _, args := range [][]string{{"show", "--store", a.url, "--json"}, {"show", "--json", "--store", a.url, a.snapshot}} {
		doc := kdr(t, args...).want(t, 0).json(t)
		var names []string
		for _, topic := range doc["topics"].([]any) {
			names = append(names, topic.(map[string]any)["name"].(string))
		}
		if !slices.Equal(names, []string{"empty", "orders", "payments"}) {
			t.Errorf("show: topics %v", names)
		}
		orders := doc["topics"].([]any)[1].(map[string]any)
		p := orders["partitions"].([]any)[2].(map[string]any)
		if p["partition"] != 2.0 || p["start_offset"] != 0.0 || p["end_offset"] != 100.0 {
			t.Errorf("show: %v", p)
		}
		group := doc["groups"].([]any)[0].(map[string]any)
		if group["name"] != "billing" || len(group["offsets"].([]any)) != 2 {
			t.Errorf("show: %v", group)
		}
		for name, v := range fields(t, doc, "acls", "quotas", "left_out", "scram_users") {
			if _, ok := v.([]any); !ok {
				t.Errorf("show: %s is %v, no list", name, v)
			}
		}
	}
	if o := kdr(t, "show", "--store", a.url).want(t, 0); !strings.Contains(o.stdout, "retention.ms=-1") || !strings.Contains(o.stdout, "group billing") || !strings.Contains(o.stdout, "transaction markers") {
		t.Errorf("show: %s", o.stdout)
	}
	if o := kdr(t, "show", "--store", a.url, "nonesuch").want(t, 1); !strings.Contains(o.stderr, "no such snapshot") {
		t.Errorf("show: %s", o.stderr)
	}
}

func TestVerify(t *testing.T) {
	a := backedUpFake(t)
	doc := kdr(t, "verify", "--store", a.url, "--json").want(t, 0).json(t)
	if got := fields(t, doc, "objects", "problems"); got["objects"] == 0.0 || !cmp.Equal(got["problems"], []any{}) {
		t.Errorf("verify: %v", doc)
	}
	kdr(t, "verify", "--store", a.url, a.snapshot, "--sample", "50%").want(t, 0)

	segment := a.segments(t)[0]
	raw, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/3] ^= 1
	if err := os.WriteFile(segment, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	doc = kdr(t, "verify", "--store", a.url, "--json").want(t, 3).json(t)
	problem := doc["problems"].([]any)[0].(map[string]any)
	fields(t, problem, "kind", "topic", "partition", "base_offset", "end_offset", "object")
	if !strings.HasSuffix(filepath.ToSlash(segment), problem["object"].(string)) {
		t.Errorf("verify: %v, damaged was %s", problem, segment)
	}

	target := testkafka.Fake(t, testkafka.Options{})
	kdr(t, "restore", "--store", a.url, "--brokers", target.Addrs()[0], "--verify-first").want(t, 3)
	topics, err := kadm.NewClient(testkafka.Client(t, target)).ListTopics(t.Context())
	if err != nil || len(topics) > 0 {
		t.Errorf("--verify-first found damage and made topics: %v, %v", topics.Names(), err)
	}
}

// TestVerifyManifest: damage that keeps the latest snapshot from being opened is
// a document with the problem as well.
func TestVerifyManifest(t *testing.T) {
	a := backedUpFake(t)
	for _, damage := range []func(file string) error{
		os.Remove,
		func(file string) error { return os.WriteFile(file, []byte("damaged"), 0o600) },
	} {
		var last string
		for _, file := range a.files(t) {
			if strings.Contains(file, "/log/") {
				last = max(last, file)
			}
		}
		if err := damage(filepath.FromSlash(last)); err != nil {
			t.Fatal(err)
		}
		doc := kdr(t, "verify", "--store", a.url, "--json").want(t, 3).json(t)
		problem := doc["problems"].([]any)[0].(map[string]any)
		if problem["kind"] != "manifest" || !strings.HasSuffix(last, problem["object"].(string)) {
			t.Errorf("verify: %v, damaged was %s", problem, last)
		}
		kdr(t, "restore", "--store", a.url, "--brokers", a.brokers(), "--dry-run").want(t, 3)
	}
}

// segments are the files of segments in the archive.
func (a *archived) segments(t *testing.T) (files []string) {
	t.Helper()
	for _, path := range a.files(t) {
		if strings.Contains(path, "/seg/") {
			files = append(files, filepath.FromSlash(path))
		}
	}
	if len(files) == 0 {
		t.Fatal("no segments")
	}
	return files
}

// files are all files of the archive, with slashes.
func (a *archived) files(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCat(t *testing.T) {
	a := backedUpFake(t)
	lines := func(args ...string) []map[string]any {
		t.Helper()
		var docs []map[string]any
		for line := range strings.Lines(kdr(t, append([]string{"cat", "--store", a.url}, args...)...).want(t, 0).stdout) {
			var doc map[string]any
			decode(t, line, &doc)
			docs = append(docs, doc)
		}
		return docs
	}
	if got := len(lines("orders")); got != 300 {
		t.Errorf("%d records of orders, want 300", got)
	}
	if got := len(lines("payments")); got != 15 {
		t.Errorf("%d records of payments, want 15", got)
	}
	if got := len(lines("payments", "--uncommitted")); got != 30 {
		t.Errorf("%d records of payments with --uncommitted, want 30", got)
	}
	if got := len(lines("orders", "--until", "2023-11-14T22:13:20.009Z")); got != 30 {
		t.Errorf("%d records until, want 30", got)
	}
	got := lines("orders", "--partition", "1", "--offset", "97", "--limit", "2")
	want := []map[string]any{
		{
			"topic": "orders", "partition": 1.0, "offset": 97.0, "timestamp": "2023-11-14T22:13:20.097Z", "timestamp_ms": 1700000000097.0,
			"timestamp_type": "CreateTime", "key": "key-47", "value": "value-1-97",
			"headers": []any{map[string]any{"key": "h", "value": "1"}, map[string]any{"key": "h", "value": nil}, map[string]any{"key": "bin", "value": "/wA=", "value_encoding": "base64"}},
		},
		{
			"topic": "orders", "partition": 1.0, "offset": 98.0, "timestamp": "2023-11-14T22:13:20.098Z", "timestamp_ms": 1700000000098.0,
			"timestamp_type": "CreateTime", "key": "key-48", "value": "3q2+7w==", "value_encoding": "base64", "headers": []any{},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	kdr(t, "cat", "--store", a.url, "nonesuch").want(t, 1)
	kdr(t, "cat", "--store", a.url, "orders", "--partition", "3").want(t, 1).wantOneLine(t, "3 partitions")
}

func TestRestore(t *testing.T) {
	a := backedUpFake(t)
	target := testkafka.Fake(t, testkafka.Options{})
	at := []string{"restore", "--store", a.url, "--brokers", target.Addrs()[0], "--json"}
	plan := kdr(t, append(at, "--dry-run", "--groups")...).want(t, 0).json(t)
	got := fields(t, plan["plan"].(map[string]any), "topics", "records", "bytes", "conflicts")
	if len(got["topics"].([]any)) != 3 || len(got["conflicts"].([]any)) != 0 {
		t.Errorf("plan: %v", got)
	}
	before := filepath.Join(t.TempDir(), "before")
	doc := kdr(t, append(at, "--groups", "--rollback-file", before, "--rate", "100MiB")...).want(t, 0).json(t)
	fields(t, doc, "plan", "records", "bytes", "duration_ms", "groups", "held", "warnings")
	wantSame(t, a, target, "orders", "payments")

	offsets, err := kadm.NewClient(testkafka.Client(t, target)).FetchOffsets(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := offsets.Lookup("orders", 0); o.At != 50 {
		t.Errorf("billing on orders/0 is at %d, want 50", o.At)
	}
	kdr(t, append(at, "--groups")...).want(t, 0) // again: all is there
	rolled := kdr(t, "groups", "--brokers", target.Addrs()[0], "rollback", "--rollback-file", before, "--json").want(t, 0).json(t)
	if rolled["groups"] != 1.0 || rolled["removed"] != true {
		t.Errorf("rollback: %v", rolled)
	}
	wantSame(t, a, target, "orders", "payments")
	fields(t, kdr(t, append(at, "--release")...).want(t, 0).json(t), "topics")

	again := kdr(t, "restore", "--store", a.url, "--to", target.Addrs()[0], "--snapshot", a.snapshot, "--rename", "orders=copy", "--topics", "orders").want(t, 0)
	if !strings.Contains(again.stdout, "create topic copy from orders") {
		t.Errorf("restore: %s", again.stdout)
	}
}

// TestRestoreRefused: a plan with conflicts has exit code 4, before any effect.
func TestRestoreRefused(t *testing.T) {
	a := backedUpFake(t)
	if o := kdr(t, "restore", "--store", a.url, "--brokers", a.brokers(), "--json").want(t, 4); len(o.json(t)["plan"].(map[string]any)["conflicts"].([]any)) == 0 {
		t.Errorf("no conflicts in the plan: %s", o.stdout)
	}
	target := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	target.create("orders", 3, nil)
	if err := target.cl.ProduceSync(t.Context(), sample("orders", 0, 7), sample("orders", 0, 5)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o := kdr(t, "restore", "--store", a.url, "--brokers", target.brokers()).want(t, 4)
	if !strings.Contains(o.stdout, "conflict: ") || !strings.HasPrefix(o.stderr, "kdr: ") {
		t.Errorf("standard output: %s\nstandard error: %s", o.stdout, o.stderr)
	}
	kdr(t, "restore", "--store", a.url, "--brokers", target.brokers(), "--dry-run").want(t, 4)
}

func TestExport(t *testing.T) {
	a := backedUpFake(t)
	dir := filepath.Join(t.TempDir(), "export")
	doc := kdr(t, "export", "--store", a.url, "--dir", dir, "--json").want(t, 0).json(t)
	var paths []string
	for _, f := range doc["files"].([]any) {
		path := f.(map[string]any)["path"].(string)
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || float64(info.Size()) != f.(map[string]any)["bytes"] {
			t.Errorf("%s: %v", path, err)
		}
		paths = append(paths, path)
	}
	want := []string{"empty-0", "empty-1", "orders-0", "orders-1", "orders-2", "payments-0"}
	for i := range want {
		want[i] += "/00000000000000000000.log"
	}
	if d := cmp.Diff(want, paths); d != "" {
		t.Error(d)
	}
	if o := kdr(t, "export", "--store", a.url, "--dir", dir).want(t, 1); !strings.Contains(o.stderr, "exists") {
		t.Errorf("exported over: %s", o.stderr)
	}
}

func TestSweep(t *testing.T) {
	a := backedUpFake(t)
	doc := kdr(t, "sweep", "--store", a.url, "--json").want(t, 0).json(t)
	if got := fields(t, doc, "objects", "bytes"); got["objects"] != 0.0 {
		t.Errorf("sweep: %v", got)
	}
	stray := a.segments(t)[0]
	raw, _ := os.ReadFile(stray)
	stray = stray[:len(stray)-8] + "99999999"
	if err := os.WriteFile(stray, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--dry-run"}, nil} {
		doc := kdr(t, append([]string{"sweep", "--store", a.url, "--json"}, args...)...).want(t, 0).json(t)
		if doc["objects"] != 1.0 {
			t.Errorf("sweep %v: %v", args, doc)
		}
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("the stray object is still there: %v", err)
	}
	kdr(t, "verify", "--store", a.url).want(t, 0)
}

// TestFollow: a document a snapshot, metrics, and a clean stop by SIGTERM.
func TestFollow(t *testing.T) {
	s := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	s.fill(100)
	url := "file://" + filepath.Join(t.TempDir(), "archive")
	f := follow(t, s.brokers(), url, "--every", "500ms", "--flush", "100ms", "--metrics", "127.0.0.1:0")
	f.waitForSnapshots(t, 2)
	addr := f.metricsAddr(t)
	for path, want := range map[string]string{"/metrics": "kafkadr_backup_records_total 340", "/healthz": "ok"} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body := new(bytes.Buffer)
		_, err = body.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(body.String(), want) {
			t.Errorf("%s: %s, %v\n%s", path, resp.Status, err, body)
		}
	}
	s.send("orders", 3, 50)
	f.waitForRecords(t, 490)
	start := time.Now()
	f.stop(t, syscall.SIGTERM).want(t, 130)
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("stopping took %s", d)
	}
	docs := f.documents(t)
	fields(t, docs[0], "snapshot", "topics", "partitions", "records", "bytes", "objects", "gaps", "duration_ms")
	kdr(t, "verify", "--store", url).want(t, 0)
	target := testkafka.Fake(t, testkafka.Options{})
	kdr(t, "restore", "--store", url, "--brokers", target.Addrs()[0]).want(t, 0)
	wantSame(t, s, target, "orders", "payments")
}
