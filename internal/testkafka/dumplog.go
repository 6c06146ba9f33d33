package testkafka

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// DumpLog is what Kafka's DumpLogSegments prints about log files with --deep-iteration
// --print-data-log. It fails the test where the tool finds fault with them.
func DumpLog(t testing.TB, files ...string) string {
	t.Helper()
	j := needJava(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := j.command(ctx, []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, "org.apache.kafka.tools.DumpLogSegments",
		"--deep-iteration", "--print-data-log", "--files", strings.Join(files, ","))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	text := string(out)
	if err != nil {
		t.Fatalf("testkafka: DumpLogSegments: %v\n%s\n%s", err, tail(out), stderr.String())
	}
	for _, fault := range []string{"Found invalid", "isvalid: false", "Could not process", "Mismatches in", "Non-consecutive", "Non-secutive"} {
		if strings.Contains(text, fault) {
			t.Fatalf("testkafka: DumpLogSegments says %q:\n%s", fault, tail(out))
		}
	}
	return text
}

// LogFiles are copies of the .log files that a broker of a real cluster holds for a partition
// (named as in "orders-3"), in offset order. The broker may run: what the cleaner swaps away while
// they are copied is tried again.
func LogFiles(t testing.TB, cl Cluster, broker int32, topicPartition string) []string {
	t.Helper()
	from, to := filepath.Join(LogDir(t, cl, broker), topicPartition), t.TempDir()
	var files []string
	Eventually(t, 30*time.Second, func(context.Context) error {
		var err error
		files, err = copyLogs(from, to)
		return err
	})
	return files
}

func copyLogs(from, to string) ([]string, error) {
	logs, err := filepath.Glob(filepath.Join(from, "*.log"))
	if err != nil {
		return nil, err
	}
	var copies []string
	for _, log := range logs {
		b, err := os.ReadFile(log)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(to, filepath.Base(log))
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return nil, err
		}
		copies = append(copies, file)
	}
	return copies, nil
}

// LogDir is a real broker's log directory; with kfake the test is skipped.
func LogDir(t testing.TB, cl Cluster, broker int32) string {
	t.Helper()
	return realCluster(t, cl).broker(t, broker).logDir()
}

// realCluster is the cluster behind cl; with kfake the test is skipped.
func realCluster(t testing.TB, cl Cluster) *cluster {
	t.Helper()
	switch c := cl.(type) {
	case *cluster:
		return c
	case *securedCluster:
		return c.cluster
	}
	t.Skip("needs a real Kafka: kfake has no log directory and no replicas")
	return nil
}
