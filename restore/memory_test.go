//go:build linux

package restore

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// Memory at defaults is bounded by configuration, not by partitions or data: 200 MiB with 8
// partitions, 300 with 1 000.
func TestMemory(t *testing.T) {
	if os.Getenv("KAFKADR_LONG") == "" {
		t.Skip("KAFKADR_LONG isn't set")
	}
	for _, tt := range []struct{ partitions, batches, most int }{{8, 100, 200}, {1000, 1, 300}} {
		dir := t.TempDir()
		a := openDir(t, dir)
		topic := fakeTopic{name: fmt.Sprintf("memory-%d", tt.partitions)}
		h := large(t, tt.batches)
		for range tt.partitions {
			topic.partitions = append(topic.partitions, h)
		}
		writeArchive(t, a, nil, topic)
		cl := pool.Real(t, testkafka.Options{})
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryHelper$", "-test.v")
		cmd.Env = append(os.Environ(), "RESTORE_DIR="+dir, "RESTORE_BROKERS="+strings.Join(cl.Addrs(), ","))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var peak int
		if _, found, ok := strings.Cut(string(out), peakIs); !ok {
			t.Fatalf("no peak in %s", out)
		} else if _, err := fmt.Sscan(found, &peak); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d partitions: %d MiB at most, %s", tt.partitions, peak, cmd.ProcessState.UserTime())
		if peak > tt.most {
			t.Errorf("%d partitions: %d MiB, want at most %d", tt.partitions, peak, tt.most)
		}
	}
}

func openDir(t testing.TB, dir string) *storage.Archive {
	t.Helper()
	b, err := filestore.OpenBucket(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	a, err := storage.Open(t.Context(), b, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const peakIs = "peak resident MiB: "

// TestMemoryHelper is the process that TestMemory looks at.
func TestMemoryHelper(t *testing.T) {
	dir := os.Getenv("RESTORE_DIR")
	if dir == "" {
		t.Skip("run by TestMemory")
	}
	s, err := openDir(t, dir).Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restored(t, Config{Snapshot: s, Target: []kgo.Opt{kgo.SeedBrokers(strings.Split(os.Getenv("RESTORE_BROKERS"), ",")...)}})
	t.Log(peakIs, testkafka.PeakRSS(t))
}
