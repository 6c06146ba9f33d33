package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantUsage runs a command line that is wrong: each fault is named, and nothing is printed
// otherwise.
func wantUsage(t *testing.T, args string, faults ...string) {
	t.Helper()
	t.Run(args, func(t *testing.T) {
		code, stdout, stderr := kdrIn(t, nil, strings.Fields(args)...)
		if code != exitUsage || stdout != "" {
			t.Errorf("exit code %d, standard output %q", code, stdout)
		}
		for _, want := range faults {
			if !strings.Contains(stderr, want) {
				t.Errorf("standard error lacks %q:\n%s", want, stderr)
			}
		}
	})
}

// kdrIn runs a command line in this process.
func kdrIn(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, &out, newScreen(&err), func(k string) string { return env[k] })
	return code, out.String(), err.String()
}

// TestFaultsAtOnce: every command names all that is wrong with its command
// line, with exit code 2, and prints nothing on standard output.
func TestFaultsAtOnce(t *testing.T) {
	properties := filepath.Join(t.TempDir(), "client.properties")
	if err := os.WriteFile(properties, []byte("security.protocol=NONE\nssl.truststore.type=JKS\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"backup", []string{"--brokers is required", "--store is required"}},
		{"backup --bogus --brokers x --store ftp://h/ --rate fast --topics ( --topics ok --exclude [ --every 1m --metrics nowhere",
			[]string{"unknown flag --bogus", `"x"`, `unknown scheme "ftp"`, "--rate", "--topics", "--exclude", "--every needs --follow", "--metrics"}},
		{"backup --brokers a:1 --store file://dir/x --kafka-config " + properties, []string{"three slashes", "security.protocol"}},
		{"backup --brokers a:1 --store file:///x --kafka-config /none", []string{"/none"}},
		{"backup --brokers a:1 --store file:///x --topics a,b", []string{"once for each"}},
		{"backup --brokers a:99999 --store file:///x", []string{"HOST:PORT"}},
		{"backup --from a:1 --store /backups", []string{"want a URL"}},
		{"backup --brokers a:1 --store s3://", []string{"no bucket"}},
		{"backup --brokers a:1 --store file:///x?create_dir=1", []string{"create_dir"}},
		{"backup --brokers a:1 --store file:///", []string{"no directory"}},
		{"backup --brokers a:1 --store", []string{"--store"}},
		{"backup --brokers a:1 --store file:///x --follow --every 0s --flush soon", []string{"--every", "--flush"}},
		{"list extra --store file:///x", []string{`unexpected argument "extra"`}},
		{"show --store file:///x one two", []string{`unexpected argument "two"`}},
		{"verify --sample 500%", []string{"--store is required", "--sample"}},
		{"cat --store file:///x --partition -1 --offset x --until today --limit 0", []string{"TOPIC is required", "--partition", "--offset", "--until", "--limit"}},
		{"restore --prefix p --rename a=b --rename c --rename a=d --offsets bogus --replication-factor 0 --max-hole-time 1 --topics (",
			[]string{"--store is required", "--brokers is required", "exclude each other", "want OLD=NEW", "renamed twice", "--offsets", "--replication-factor", "--max-hole-time", "--topics"}},
		{"restore --store file:///x --to a:1 --release --groups --dry-run", []string{"--groups means nothing", "--dry-run means nothing"}},
		{"export --store file:///x", []string{"--dir is required"}},
		{"sweep", []string{"--store is required"}},
		{"frobnicate", []string{`unknown command "frobnicate"`}},
		{"help frobnicate", []string{`unknown command "frobnicate"`}},
		{"--bogus", []string{"unknown flag --bogus"}},
	} {
		wantUsage(t, c.args, c.want...)
	}
}

func TestHelp(t *testing.T) {
	code, stdout, stderr := kdrIn(t, nil, "help")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, standard error %q", code, stderr)
	}
	for _, want := range []string{"backup", "list", "show", "verify", "cat", "restore", "translate", "export", "sweep", "mirror", "groups", "status", "failover", "failback", "controller", "drill"} {
		if !strings.Contains(stdout, "\n  "+want+" ") {
			t.Errorf("help lacks %s:\n%s", want, stdout)
		}
	}
	for _, command := range []string{"prune", "completion"} {
		if strings.Contains(stdout, "\n  "+command+" ") {
			t.Errorf("help lists %s, which isn't there", command)
		}
	}
}

// TestStoreName: what a message says of a store holds no parameters and no user info.
func TestStoreName(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket?region=x&prefix=a/":      "s3://bucket",
		"s3://key:secret@bucket/path?x=token": "s3://bucket/path",
		"file:///backups/main?prefix=a/":      "file:///backups/main",
	} {
		a := &app{}
		f := storeFlags{url: url}
		f.check(a)
		if len(a.faults) > 0 {
			t.Fatal(a.faults)
		}
		if got := f.name(); got != want {
			t.Errorf("%s: name %q, want %q", url, got, want)
		}
	}
}
