package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newestEntry is the file of the log's last entry.
func (a *archived) newestEntry(t *testing.T) string {
	t.Helper()
	entries := slices.DeleteFunc(a.files(t), func(file string) bool { return !strings.Contains(file, "/log/") })
	return slices.Max(entries)
}

// TestListDamaged: where the newest entry is damaged, list prints the snapshots before it, and
// backup says how to go on. That way leads to a sound archive.
func TestListDamaged(t *testing.T) {
	a := backedUpFake(t)
	kdr(t, "backup", "--brokers", a.brokers(), "--store", a.url).want(t, 0)
	last := a.newestEntry(t)
	file := filepath.FromSlash(last)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Clone(raw)
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	object := last[strings.Index(last, "/l/")+1:]

	o := kdr(t, "list", "--store", a.url, "--json").want(t, 3)
	o.wantOneLine(t, object, "--snapshot")
	wantListed(t, o, a.snapshot)
	table := kdr(t, "list", "--store", a.url).want(t, 3)
	table.wantOneLine(t, object)
	if !strings.Contains(table.stdout, a.snapshot) {
		t.Errorf("the table lacks %s: %s", a.snapshot, table.stdout)
	}
	kdr(t, "restore", "--store", a.url, "--brokers", a.brokers(), "--dry-run").want(t, 3).wantOneLine(t, object, "kdr list")
	kdr(t, "show", "--store", a.url, a.snapshot).want(t, 0)
	kdr(t, "backup", "--brokers", a.brokers(), "--store", a.url).want(t, 3).wantOneLine(t, object, "out of the archive")

	if err := os.Rename(file, filepath.Join(t.TempDir(), "moved")); err != nil {
		t.Fatal(err)
	}
	next := kdr(t, "backup", "--brokers", a.brokers(), "--store", a.url, "--json").want(t, 0).json(t)["snapshot"].(string)
	kdr(t, "verify", "--store", a.url).want(t, 3)
	kdr(t, "sweep", "--store", a.url).want(t, 0)
	kdr(t, "verify", "--store", a.url).want(t, 0)
	wantListed(t, kdr(t, "list", "--store", a.url, "--json").want(t, 0), a.snapshot, next)
}

func wantListed(t *testing.T, o outcome, want ...string) {
	t.Helper()
	var infos []map[string]any
	decode(t, o.stdout, &infos)
	var got []string
	for _, info := range infos {
		got = append(got, info["snapshot"].(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v are listed, want %v", got, want)
	}
}
