package testkafka

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed mm2_client.java
var mm2Client []byte

// MM2Offset is what MirrorMaker's Java client says of one partition of one group.
type MM2Offset struct {
	Group     string
	Topic     string
	Partition int32
	Offset    int64
}

// MM2Offsets asks MirrorMaker's own Java client (RemoteClusterUtils.translateOffsets) for the
// groups' offsets on target, where source is the alias of the source cluster. properties are the
// client's (replication.policy.class and so on; empty for the defaults). Groups without a
// checkpoint have no lines. It takes a JDK: the test is skipped where javac is missing, or fails
// where KAFKADR_REQUIRE holds "kafka".
func MM2Offsets(t testing.TB, target Cluster, source string, properties map[string]string, groups ...string) []MM2Offset {
	t.Helper()
	j := needJava(t)
	needCompiler(t, j)
	dir := t.TempDir()
	file := filepath.Join(dir, "TranslateOffsets.java")
	args := []string{"bootstrap.servers=" + strings.Join(target.Addrs(), ",")}
	for k, v := range properties {
		args = append(args, k+"="+v)
	}
	args = append(append(args, "--", source), groups...)
	for name, b := range map[string][]byte{file: mm2Client, filepath.Join(dir, "log4j2.properties"): []byte(log4jOff)} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := j.command(ctx, []string{"-Xmx256m", "-Dlog4j2.configurationFile=" + filepath.Join(dir, "log4j2.properties")}, file, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("testkafka: MirrorMaker's client: %v\n%s", err, tail(stderr.Bytes()))
	}
	return parseMM2Offsets(t, string(out))
}

const log4jOff = "rootLogger.level = OFF\n"

func parseMM2Offsets(t testing.TB, out string) []MM2Offset {
	t.Helper()
	var offsets []MM2Offset
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("testkafka: MirrorMaker's client says %q", line)
		}
		o := MM2Offset{Group: f[0], Topic: f[1]}
		if _, err := fmt.Sscan(f[2]+" "+f[3], &o.Partition, &o.Offset); err != nil {
			t.Fatalf("testkafka: MirrorMaker's client says %q: %v", line, err)
		}
		offsets = append(offsets, o)
	}
	return offsets
}

func needCompiler(t testing.TB, j java) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(filepath.Dir(j.bin), "javac")); err == nil {
		return
	}
	if _, err := exec.LookPath("javac"); err != nil {
		Missing(t, "kafka", "install a JDK (apt-get install openjdk-17-jdk-headless): the runtime alone doesn't run Java source files")
	}
}
