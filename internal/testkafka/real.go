package testkafka

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is a real Kafka: brokers that are controllers too, each a process of its own.
type cluster struct {
	o       Options
	id      string
	dir     string
	java    java
	brokers []*broker
	sec     *security
}

// Real starts a real Kafka of the given shape; the test is skipped, saying what to install, where
// Java, Maven or the jars are missing, and fails instead where KAFKADR_REQUIRE holds "kafka". All
// is gone when the test ends.
//
// Beyond Kafka's defaults: topics are never created unasked, internal topics have as many replicas
// as there are brokers, and the cleaner and retention run every second. Topics get as many replicas
// as there are brokers where the creator asks for the default (-1).
func Real(t testing.TB, o Options) Cluster {
	t.Helper()
	j := needJava(t)
	c, err := startReal(j, t.TempDir(), o)
	if c != nil {
		t.Cleanup(func() { c.close(); c.logOnFailure(t) })
	}
	if err != nil {
		t.Fatalf("testkafka: start Kafka: %v", err)
	}
	return c.asCluster()
}

// asCluster is the value that tests get: a [Secured] where security is on.
func (c *cluster) asCluster() Cluster {
	if c.sec != nil {
		return &securedCluster{c}
	}
	return c
}

// startReal starts a cluster with everything under dir. After an error, what is returned has to be
// closed.
func startReal(j java, dir string, o Options) (*cluster, error) {
	o = o.withDefaults()
	c := &cluster{o: o, id: newID(), dir: dir, java: j}
	if err := c.layout(); err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Wait)
	defer cancel()
	if err := c.format(ctx); err != nil {
		return c, err
	}
	for _, b := range c.brokers {
		if err := b.start(); err != nil {
			return c, err
		}
	}
	for _, b := range c.brokers {
		if err := b.await(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

// layout chooses ports and writes the configuration.
func (c *cluster) layout() error {
	if c.o.Secure {
		var err error
		if c.sec, err = makeSecurity(c.dir); err != nil {
			return err
		}
	}
	ports, err := freePorts(3 * c.o.Brokers)
	if err != nil {
		return err
	}
	for i := range c.o.Brokers {
		p := ports[3*i:]
		c.brokers = append(c.brokers, &broker{c: c, id: int32(i + 1), port: p[0], internalPort: p[1], controllerPort: p[2],
			dir: filepath.Join(c.dir, fmt.Sprintf("broker-%d", i+1))})
	}
	for _, b := range c.brokers {
		if err := os.MkdirAll(b.logDir(), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(b.file("server.properties"), []byte(c.properties(b)), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(b.file("log4j2.properties"), []byte(log4j), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// format prepares the brokers' disks: the first one's by Kafka's tool, which takes a JVM, the
// others' as copies of it. They differ by the ids in meta.properties.
func (c *cluster) format(ctx context.Context) error {
	first := c.brokers[0]
	if err := first.format(ctx); err != nil {
		return err
	}
	for _, b := range c.brokers[1:] {
		if err := b.formatLike(first); err != nil {
			return fmt.Errorf("format broker %d as broker %d: %w", b.id, first.id, err)
		}
	}
	return nil
}

func (b *broker) format(ctx context.Context) error {
	c := b.c
	args := []string{"format", "-t", c.id, "-c", b.file("server.properties")}
	if c.sec != nil {
		args = append(args, "--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", adminUser, c.sec.password))
	}
	jvm := append([]string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", b.log4j()}, c.java.shared()...)
	cmd := c.java.command(ctx, jvm, "kafka.tools.StorageTool", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format broker %d: %w\n%s", b.id, err, tail(out))
	}
	return nil
}

// formatLike copies the disk of a broker that was formatted and hasn't started.
func (b *broker) formatLike(first *broker) error {
	if err := os.CopyFS(b.logDir(), os.DirFS(first.logDir())); err != nil {
		return err
	}
	path := filepath.Join(b.logDir(), "meta.properties")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = regexp.MustCompile(`(?m)^node\.id=.*$`).ReplaceAll(text, fmt.Append(nil, "node.id=", b.id))
	text = regexp.MustCompile(`(?m)^directory\.id=.*$`).ReplaceAll(text, fmt.Append(nil, "directory.id=", newID()))
	return os.WriteFile(path, text, 0o600)
}

func (c *cluster) close() {
	for _, b := range c.brokers {
		if b.proc != nil {
			b.proc.kill()
		}
	}
}

func (c *cluster) logOnFailure(t testing.TB) {
	t.Helper()
	if !t.Failed() {
		return
	}
	for _, b := range c.brokers {
		t.Logf("testkafka: the end of broker %d's log:\n%s", b.id, tailFile(b.file("server.log")))
	}
}

func (c *cluster) ID() string { return c.id }
func (c *cluster) Real() bool { return true }

func (c *cluster) Addrs() []string {
	var as []string
	for _, b := range c.brokers {
		as = append(as, b.addr())
	}
	return as
}

func (c *cluster) Opts() []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...)}, c.login()...)
}

// login are the options of a client with all rights, without addresses.
func (c *cluster) login() []kgo.Opt {
	if c.sec == nil {
		return nil
	}
	return c.sec.opts(adminUser, c.sec.password)
}

func (c *cluster) Brokers() []int32 {
	var ids []int32
	for _, b := range c.brokers {
		ids = append(ids, b.id)
	}
	return ids
}

func (c *cluster) broker(t testing.TB, id int32) *broker {
	t.Helper()
	for _, b := range c.brokers {
		if b.id == id {
			return b
		}
	}
	t.Fatalf("testkafka: no broker %d", id)
	return nil
}

func (c *cluster) Stop(t testing.TB, id int32) {
	t.Helper()
	if b := c.broker(t, id); b.proc.running() {
		if err := b.proc.stop(time.Minute); err != nil {
			t.Fatalf("testkafka: stop broker %d: %v", id, err)
		}
	}
}

func (c *cluster) Kill(t testing.TB, id int32) {
	t.Helper()
	c.broker(t, id).proc.kill()
}

func (c *cluster) Pause(t testing.TB, id int32) {
	t.Helper()
	if err := freeze(c.broker(t, id).proc.cmd.Process); err != nil {
		t.Fatalf("testkafka: pause broker %d: %v", id, err)
	}
}

func (c *cluster) Resume(t testing.TB, id int32) {
	t.Helper()
	if err := thaw(c.broker(t, id).proc.cmd.Process); err != nil {
		t.Fatalf("testkafka: resume broker %d: %v", id, err)
	}
}

func (c *cluster) Start(t testing.TB, id int32) {
	t.Helper()
	b := c.broker(t, id)
	if b.proc.running() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Wait)
	defer cancel()
	err := b.start()
	if err == nil {
		err = b.await(ctx)
	}
	if err != nil {
		t.Fatalf("testkafka: start broker %d: %v", id, err)
	}
}

type securedCluster struct{ *cluster }

func (c *securedCluster) Admin() (string, string) { return adminUser, c.sec.password }
func (c *securedCluster) CAFile() string          { return c.sec.caFile }

func (c *securedCluster) CreateUser(t testing.TB, user, password string) {
	t.Helper()
	createUser(t, c, user, password)
	c.awaitUser(t, user, password)
}

func (c *securedCluster) UserOpts(user, password string) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...)}, c.sec.opts(user, password)...)
}

func (c *securedCluster) ClientProperties(t testing.TB, user, password string) string {
	t.Helper()
	return c.sec.clientProperties(t, user, password)
}

// awaitUser waits until every broker knows the user: they learn of it from the metadata log.
func (c *securedCluster) awaitUser(t testing.TB, user, password string) {
	t.Helper()
	for _, b := range c.brokers {
		if !b.proc.running() {
			continue
		}
		Eventually(t, 30*time.Second, func(ctx context.Context) error {
			cl, err := kgo.NewClient(append(c.sec.opts(user, password), kgo.SeedBrokers(b.addr()))...)
			if err != nil {
				return permanent{err}
			}
			defer cl.Close()
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			return cl.Ping(ctx)
		})
	}
}
