package testkafka

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// MM2Options describe a MirrorMaker 2.
type MM2Options struct {
	// Source and Target are the clusters' aliases. Default A and B.
	Source, Target string
	// Properties are set over the defaults, which are those of a tuned flow:
	// IdentityReplicationPolicy, topics and groups ".*", four tasks, checkpoints and synced group
	// offsets every 5 s, topics and groups looked for every 10 s, offset.lag.max 100, offsets
	// flushed every 5 s, read_committed, lz4, replication factors 1, and offset-syncs where Kafka
	// has them by default (the source). The aliases in their names are Source and Target. An empty
	// value takes a default away. Heartbeats must stay on: by them StartMM2 sees that it runs.
	Properties map[string]string
	// Heap is the JVM's maximum heap, as in -Xmx. Default 512m; a benchmark wants 2g.
	Heap string
	// JVM are further options of the JVM. Default: serial collector, first-tier compiler (quick to
	// start); a benchmark wants an empty, non-nil list.
	JVM []string
	// Wait bounds the start. Default 2 min.
	Wait time.Duration
}

func (o MM2Options) withDefaults() MM2Options {
	if o.Source == "" {
		o.Source = "A"
	}
	if o.Target == "" {
		o.Target = "B"
	}
	if o.Heap == "" {
		o.Heap = "512m"
	}
	if o.JVM == nil {
		o.JVM = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	}
	if o.Wait == 0 {
		o.Wait = 2 * time.Minute
	}
	return o
}

// MM2 is Kafka's own MirrorMaker 2 in dedicated mode, a process that copies one cluster to another.
// It ends with the test, and with the test binary. It is used by the test's goroutine only.
type MM2 struct {
	o      MM2Options
	java   java
	dir    string
	target *kadm.Client
	proc   *proc
}

// StartMM2 starts MirrorMaker 2 from source to target and waits until it runs: until its first
// heartbeat is on the target. Both clusters are real ones without security. When the test fails, it
// logs the end of MirrorMaker's log.
func StartMM2(t testing.TB, source, target Cluster, o MM2Options) *MM2 {
	t.Helper()
	j := needJava(t)
	o = o.withDefaults()
	m := &MM2{o: o, java: j, dir: t.TempDir(), target: kadm.NewClient(Client(t, target))}
	p := mm2Defaults(o.Source, o.Target)
	p[o.Source+".bootstrap.servers"] = strings.Join(source.Addrs(), ",")
	p[o.Target+".bootstrap.servers"] = strings.Join(target.Addrs(), ",")
	maps.Copy(p, o.Properties)
	maps.DeleteFunc(p, func(_, v string) bool { return v == "" })
	for name, text := range map[string]string{"mm2.properties": render(p), "log4j2.properties": log4j} {
		if err := os.WriteFile(m.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if m.proc != nil {
			m.proc.kill()
		}
		if t.Failed() {
			t.Logf("testkafka: the end of MirrorMaker's log:\n%s", tailFile(m.file("mm2.log")))
		}
	})
	m.Start(t)
	return m
}

func (m *MM2) file(name string) string { return filepath.Join(m.dir, name) }

// Start starts a stopped or killed MirrorMaker again, and waits until it runs.
func (m *MM2) Start(t testing.TB) {
	t.Helper()
	if m.proc != nil && m.proc.running() {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), m.o.Wait)
	defer cancel()
	beats := m.heartbeats(ctx)
	if err := m.launch(); err != nil {
		t.Fatalf("testkafka: start MirrorMaker: %v", err)
	}
	err := poll(ctx, func() error {
		if !m.proc.running() {
			return permanent{fmt.Errorf("it ended: %w", m.proc.err)}
		}
		if m.heartbeats(ctx) <= beats {
			return fmt.Errorf("no heartbeat yet")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("testkafka: start MirrorMaker: %v", err)
	}
}

func (m *MM2) launch() error {
	out, err := os.OpenFile(m.file("mm2.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	jvm := append([]string{"-Xmx" + m.o.Heap, "-Dlog4j2.configurationFile=" + m.file("log4j2.properties")}, m.o.JVM...)
	cmd := m.java.command(context.Background(), jvm, "org.apache.kafka.connect.mirror.MirrorMaker", m.file("mm2.properties"))
	cmd.Stdout, cmd.Stderr = out, out
	m.proc, err = startProc(cmd)
	return err
}

// heartbeats is how many heartbeats are on the target, 0 where that can't be said.
func (m *MM2) heartbeats(ctx context.Context) int64 {
	ends, err := m.target.ListEndOffsets(ctx, "heartbeats")
	if err != nil {
		return 0
	}
	end, _ := ends.Lookup("heartbeats", 0)
	return end.Offset
}

// Stop ends MirrorMaker by SIGTERM: it commits its offsets.
func (m *MM2) Stop(t testing.TB) {
	t.Helper()
	if err := m.proc.stop(time.Minute); err != nil {
		t.Fatalf("testkafka: stop MirrorMaker: %v", err)
	}
}

// Kill ends MirrorMaker by SIGKILL.
func (m *MM2) Kill(t testing.TB) {
	t.Helper()
	m.proc.kill()
}

// Log is the path of MirrorMaker's log.
func (m *MM2) Log() string { return m.file("mm2.log") }

// PID is the process ID of the JVM.
func (m *MM2) PID() int { return m.proc.cmd.Process.Pid }

// mm2Defaults are the properties of [MM2Options] that don't name clusters' addresses.
func mm2Defaults(source, target string) map[string]string {
	flow := source + "->" + target
	p := map[string]string{
		"clusters":                          source + ", " + target,
		flow + ".enabled":                   "true",
		target + "->" + source + ".enabled": "false",
		target + "->" + source + ".emit.heartbeats.enabled": "false",
		"replication.policy.class":                          "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
		"topics":                                            ".*",
		"groups":                                            ".*",
		"tasks.max":                                         "4",
		"emit.checkpoints.interval.seconds":                 "5",
		"sync.group.offsets.enabled":                        "true",
		"sync.group.offsets.interval.seconds":               "5",
		"refresh.groups.interval.seconds":                   "10",
		"refresh.topics.interval.seconds":                   "10",
		"sync.topic.acls.enabled":                           "false",
		"offset.lag.max":                                    "100",
		target + ".offset.flush.interval.ms":                "5000",
	}
	for _, k := range []string{"replication.factor", "checkpoints.topic.replication.factor", "heartbeats.topic.replication.factor",
		"offset-syncs.topic.replication.factor", "offset.storage.replication.factor", "status.storage.replication.factor", "config.storage.replication.factor"} {
		p[k] = "1"
	}
	for k, v := range map[string]string{"fetch.min.bytes": "65536", "fetch.max.wait.ms": "100", "fetch.max.bytes": "52428800", "max.partition.fetch.bytes": "8388608",
		"max.poll.records": "2000", "receive.buffer.bytes": "1048576", "isolation.level": "read_committed"} {
		p[source+".consumer."+k] = v
	}
	for k, v := range map[string]string{"acks": "all", "enable.idempotence": "true", "max.in.flight.requests.per.connection": "5", "linger.ms": "20",
		"batch.size": "1048576", "buffer.memory": "134217728", "max.request.size": "16777216", "compression.type": "lz4"} {
		p[target+".producer."+k] = v
	}
	return p
}
