package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// wantOneLine fails the test unless standard error is, beside log lines, one
// clear line that holds all of the words.
func (o outcome) wantOneLine(t *testing.T, words ...string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(o.stderr) {
		if !strings.HasPrefix(line, "time=") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "kdr: ") {
		t.Errorf("standard error isn't one line: %s", o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("standard error lacks %q: %s", w, o.stderr)
		}
	}
	if strings.Contains(o.stdout+o.stderr, "goroutine ") {
		t.Errorf("a panic: %s", o.stderr)
	}
}

// closedPort is an address that nothing listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestWrongCluster: brokers that can't be reached and topics that aren't
// there are one clear error each, and exit code 1.
func TestWrongCluster(t *testing.T) {
	c := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	c.fill(5)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	kdr(t, "backup", "--brokers", c.brokers(), "--store", store).want(t, 0)
	t.Run("group", func(t *testing.T) {
		t.Run("no broker for backup", func(t *testing.T) {
			t.Parallel()
			addr := closedPort(t)
			kdr(t, "backup", "--brokers", addr, "--store", store).want(t, 1).wantOneLine(t, addr)
		})
		t.Run("no broker for follow", func(t *testing.T) {
			t.Parallel()
			addr := closedPort(t)
			kdr(t, "backup", "--brokers", addr, "--store", store, "--follow").want(t, 1).wantOneLine(t, addr)
		})
		t.Run("no broker for restore", func(t *testing.T) {
			t.Parallel()
			addr := closedPort(t)
			kdr(t, "restore", "--brokers", addr, "--store", store).want(t, 1).wantOneLine(t, addr)
		})
		t.Run("no topic to back up", func(t *testing.T) {
			t.Parallel()
			kdr(t, "backup", "--brokers", c.brokers(), "--store", store, "--topics", "orders", "--topics", "nonesuch").want(t, 1).wantOneLine(t, "nonesuch")
		})
		t.Run("no topic to restore", func(t *testing.T) {
			t.Parallel()
			kdr(t, "restore", "--brokers", c.brokers(), "--store", store, "--topics", "nonesuch").want(t, 1).wantOneLine(t, "nonesuch")
		})
		t.Run("no topic to export", func(t *testing.T) {
			t.Parallel()
			kdr(t, "export", "--store", store, "--dir", t.TempDir(), "--topics", "nonesuch").want(t, 1).wantOneLine(t, "nonesuch")
		})
	})
}

// TestWrongStore: stores that aren't there, aren't archives or can't be
// written are one clear error each.
func TestWrongStore(t *testing.T) {
	c := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	c.fill(5)
	none := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{{"list"}, {"show"}, {"verify"}, {"cat", "orders"}, {"export", "--dir", none}, {"sweep"}, {"restore", "--brokers", c.brokers()}} {
		kdr(t, append(args, "--store", "file://"+none)...).want(t, 1).wantOneLine(t, none)
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Errorf("a command that reads has made the store: %v", err)
	}
	kdr(t, "list", "--store", "mem://").want(t, 2).wantOneLine(t, "mem://")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	kdr(t, "backup", "--brokers", c.brokers(), "--store", "file://"+file).want(t, 1).wantOneLine(t, file)
	kdr(t, "backup", "--brokers", c.brokers(), "--store", "file://"+file+"/below").want(t, 1).wantOneLine(t, file)

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "photo"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	kdr(t, "backup", "--brokers", c.brokers(), "--store", "file://"+other).want(t, 1).wantOneLine(t, "no archive")
}

// TestWrongCredentials: a wrong password, a missing right and a wrong
// protocol are one clear error each.
func TestWrongCredentials(t *testing.T) {
	c := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	checkCredentials(t, c)
}

func checkCredentials(t *testing.T, c testkafka.Secured) {
	t.Helper()
	user, password := c.Admin()
	good := c.ClientProperties(t, user, password)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	args := []string{"backup", "--brokers", c.Addrs()[0], "--store", store}

	cl := testkafka.Client(t, c)
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), sample("orders", 0, 1)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	kdr(t, append(args, "--kafka-config", good)...).want(t, 0)
	c.CreateUser(t, "mallory", "mallory-secret")
	t.Run("group", func(t *testing.T) {
		t.Run("wrong password", func(t *testing.T) {
			t.Parallel()
			kdr(t, append(args, "--kafka-config", c.ClientProperties(t, user, "wrong"))...).want(t, 1).wantOneLine(t, "authentication failed")
		})
		t.Run("wrong password from the environment", func(t *testing.T) {
			t.Parallel()
			kdrEnv(t, []string{"KDR_SASL_PASSWORD=wrong"}, append(args, "--kafka-config", good)...).want(t, 1).wantOneLine(t, "authentication failed")
		})
		t.Run("no rights", func(t *testing.T) {
			t.Parallel()
			kdr(t, append(args, "--topics", "orders", "--kafka-config", c.ClientProperties(t, "mallory", "mallory-secret"))...).want(t, 1).wantOneLine(t, "AUTHORIZATION")
		})
		t.Run("no TLS", func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			kdr(t, args...).want(t, 1).wantOneLine(t, c.Addrs()[0])
			t.Logf("refused after %s", time.Since(start))
		})
	})
}
