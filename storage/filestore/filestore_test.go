package filestore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/storage/storagetest"
)

const (
	childDir    = "FILESTORE_TEST_CHILD_DIR"
	childWrites = "FILESTORE_TEST_CHILD_WRITES"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if os.Getenv(childWrites) != "" {
			os.Exit(writeForever(dir))
		}
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

func openDir(t *testing.T, dir string) *blob.Bucket {
	t.Helper()
	b, err := OpenBucket(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	dirs := map[*testing.T]string{}
	storagetest.Run(t, func(t *testing.T) *blob.Bucket {
		if dirs[t] == "" {
			dirs[t] = filepath.Join(t.TempDir(), "made", "by", "open")
		}
		return openDir(t, dirs[t])
	})
}

// child creates objects 0 to 199, and says which it won.
func child(dir string) int {
	b, err := OpenBucket(dir, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := range 200 {
		key := fmt.Sprintf("race/%d/%d", i%3, i)
		err := b.WriteAll(context.Background(), key, fmt.Append(nil, os.Getpid()), &blob.WriterOptions{IfNotExist: true})
		switch gcerrors.Code(err) {
		case gcerrors.OK:
			fmt.Println(key)
		case gcerrors.FailedPrecondition:
		default:
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

// TestCreateOnlyAcrossProcesses has four processes create the same objects: each has one winner,
// and its bytes.
func TestCreateOnlyAcrossProcesses(t *testing.T) {
	dir := t.TempDir()
	b := openDir(t, dir)
	var wg sync.WaitGroup
	var mu sync.Mutex
	winner := map[string]string{}
	for range 4 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childDir+"="+dir)
			var out, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &stderr
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, stderr.String())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range strings.Fields(out.String()) {
				if winner[key] != "" {
					t.Errorf("%s was created twice", key)
				}
				winner[key] = fmt.Sprint(cmd.Process.Pid)
			}
		})
	}
	wg.Wait()
	if len(winner) != 200 {
		t.Fatalf("%d objects of 200", len(winner))
	}
	for key, pid := range winner {
		if got, err := b.ReadAll(t.Context(), key); err != nil || string(got) != pid {
			t.Fatalf("%s holds %q, %v; want %q", key, got, err, pid)
		}
	}
}

const killedObject = 1 << 20

// writeForever makes objects until it is killed, and says which are durable.
func writeForever(dir string) int {
	b, err := OpenBucket(dir, nil)
	if err != nil {
		return 1
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d/%d", os.Getpid(), i)
		w, err := b.NewWriter(context.Background(), key, &blob.WriterOptions{IfNotExist: true})
		for range 16 {
			if err == nil {
				_, err = w.Write(bytes.Repeat([]byte{byte(i)}, killedObject/16))
			}
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return 1
		}
		fmt.Println(key)
	}
}

// TestKilled kills a writing process, again and again: every object is whole, and those that were
// said to be durable are there.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir, childWrites+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if said = append(said, lines.Text()); len(said) == 2+i {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
		b := openDir(t, dir)
		there := map[string]bool{}
		for it := b.List(nil); ; {
			o, err := it.Next(t.Context())
			if err != nil {
				break
			}
			if there[o.Key] = true; o.Size != killedObject {
				t.Errorf("%s has %d bytes", o.Key, o.Size)
			}
		}
		for _, key := range said {
			if !there[key] {
				t.Errorf("%s is gone", key)
			}
		}
		if len(said) < 2+i {
			t.Fatalf("the child ended after %d objects", len(said))
		}
	}
}

func TestKeys(t *testing.T) {
	b := openDir(t, t.TempDir())
	for _, key := range []string{"../up", "a/../b", "/etc", "a//b", "a/", ".hidden", "a/.b", "A", "a b", "a\x00", "ä", "a\\b", "a.", "c:d"} {
		err := b.WriteAll(t.Context(), key, nil, nil)
		if gcerrors.Code(err) != gcerrors.InvalidArgument {
			t.Errorf("write %q: %v", key, err)
		}
		if _, err := b.ReadAll(t.Context(), key); gcerrors.Code(err) != gcerrors.InvalidArgument {
			t.Errorf("read %q: %v", key, err)
		}
	}
	for _, prefix := range []string{"../", "a/../", "/", "//"} {
		if _, _, err := b.ListPage(t.Context(), blob.FirstPageToken, 10, &blob.ListOptions{Prefix: prefix}); err != nil {
			t.Errorf("list %q: %v", prefix, err)
		}
	}
}

// TestStale leaves temporary files: of a process that is gone, of one that is writing, and a new
// one.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	b := openDir(t, dir)
	w, err := b.NewWriter(t.Context(), "slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("slow"), 1000)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "new"} {
		if err := os.WriteFile(filepath.Join(dir, tempDir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(filepath.Join(dir, tempDir))
	for _, e := range entries {
		if e.Name() != "new" {
			past := time.Now().Add(-2 * time.Hour)
			if err := os.Chtimes(filepath.Join(dir, tempDir, e.Name()), past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	openDir(t, dir)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _ = os.ReadDir(filepath.Join(dir, tempDir))
	if len(entries) != 1 || entries[0].Name() != "new" {
		t.Fatal(entries)
	}
	if got, err := b.ReadAll(t.Context(), "slow"); err != nil || len(got) != 4000 {
		t.Fatal(len(got), err)
	}
}

func TestMustExist(t *testing.T) {
	if _, err := OpenBucket(filepath.Join(t.TempDir(), "none"), &Options{MustExist: true}); err == nil {
		t.Fatal("a missing directory was opened")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBucket(file, nil); err == nil {
		t.Fatal("a file was opened")
	}
}
