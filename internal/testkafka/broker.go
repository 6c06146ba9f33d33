package testkafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const log4j = `status = error
appenders = stdout
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRefs = stdout
rootLogger.appenderRef.stdout.ref = STDOUT
`

// broker is one process of a cluster.
type broker struct {
	c                                  *cluster
	id                                 int32
	port, internalPort, controllerPort int
	dir                                string
	proc                               *proc
}

func (b *broker) addr() string            { return fmt.Sprintf("127.0.0.1:%d", b.port) }
func (b *broker) file(name string) string { return filepath.Join(b.dir, name) }
func (b *broker) logDir() string          { return b.file("data") }
func (b *broker) log4j() string           { return "-Dlog4j2.configurationFile=" + b.file("log4j2.properties") }

// start starts the process, its output appended to the broker's log.
func (b *broker) start() error {
	out, err := os.OpenFile(b.file("server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	jvm := slices.Concat([]string{"-Xmx" + b.c.o.Heap, "-Xms64m", b.log4j()}, b.c.java.shared(), b.c.o.JVM)
	cmd := b.c.java.command(context.Background(), jvm, "kafka.Kafka", b.file("server.properties"))
	cmd.Stdout, cmd.Stderr = out, out
	p, err := startProc(cmd)
	if err != nil {
		return err
	}
	b.proc = p
	return nil
}

// await waits until the broker serves: it answers, and counts itself among the cluster's brokers.
func (b *broker) await(ctx context.Context) error {
	err := poll(ctx, func() error {
		if !b.proc.running() {
			return permanent{fmt.Errorf("broker %d ended: %w\n%s", b.id, b.proc.err, tailFile(b.file("server.log")))}
		}
		return b.serves(ctx)
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("broker %d doesn't serve: %w\n%s", b.id, err, tailFile(b.file("server.log")))
	}
	return err
}

func (b *broker) serves(ctx context.Context) error {
	conn, err := net.DialTimeout("tcp", b.addr(), time.Second)
	if err != nil {
		return err
	}
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(append(b.c.login(), kgo.SeedBrokers(b.addr()))...)
	if err != nil {
		return permanent{err}
	}
	defer cl.Close()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, m := range resp.Brokers {
		if m.NodeID == b.id {
			return nil
		}
	}
	return errors.New("isn't registered")
}

// permanent is an error that polling doesn't cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// poll calls f until it returns nil or a permanent error, or ctx ends; then its last error is
// returned.
func poll(ctx context.Context, f func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := f()
		var p permanent
		if err == nil || errors.As(err, &p) {
			return err
		}
		if last == nil || ctx.Err() == nil { // what the context's end has cut off says less than what was before
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(last, ctx.Err())
		case <-tick.C:
		}
	}
}

// Eventually polls until f returns nil; the test fails with its last error when that takes longer
// than d.
func Eventually(t testing.TB, d time.Duration, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := poll(ctx, func() error { return f(ctx) }); err != nil {
		t.Fatalf("testkafka: not so within %v: %v", d, err)
	}
}
