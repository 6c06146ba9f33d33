package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestNoSecretAnywhere: the passwords of a backup and a restore, and of a
// failed one, occur in no output, no log and no byte of the archive.
func TestNoSecretAnywhere(t *testing.T) {
	const canary = "c4n4ry-s3cr3t"
	c := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	cl := testkafka.Client(t, c)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), sample("orders", 0, 1)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c.CreateUser(t, "backup", canary)
	testkafka.Allow(t, c, "backup", kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").Operations(kadm.OpAll))
	testkafka.Allow(t, c, "backup", kadm.NewACLs().Clusters().Operations(kadm.OpAll))

	dir := filepath.Join(t.TempDir(), "archive")
	store := "file://" + dir
	properties := c.ClientProperties(t, "backup", canary)
	base := []string{"--brokers", c.Addrs()[0], "--store", store, "--verbose"}
	runs := []outcome{
		kdr(t, append(base, "backup", "--kafka-config", properties)...).want(t, 0),
		kdrEnv(t, []string{"KDR_SASL_PASSWORD=" + canary, "KDR_SASL_USERNAME=backup"}, append(base, "backup", "--json", "--kafka-config", properties)...).want(t, 0),
		kdr(t, append(base, "restore", "--dry-run", "--json", "--kafka-config", properties)...).want(t, 4),
		kdr(t, append(base, "restore", "--same-cluster", "--prefix", "copy.", "--kafka-config", properties)...).want(t, 0),
		kdrEnv(t, []string{"KDR_SASL_PASSWORD=" + canary + "-wrong"}, append(base, "backup", "--kafka-config", properties)...).want(t, 1),
		kdr(t, "show", "--store", store, "--json").want(t, 0),
		kdr(t, "backup", "--store", "s3://"+canary+":"+canary+"@bucket?parameter="+canary, "--brokers", c.Addrs()[0]),
		kdr(t, append(base, "backup", "--kafka-config", brokenProperties(t, canary))...).want(t, 2),
	}
	for i, o := range runs {
		if strings.Contains(o.stdout+o.stderr, canary) {
			t.Errorf("run %d prints the secret:\n%s\n%s", i, o.stdout, o.stderr)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func brokenProperties(t *testing.T, canary string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broken.properties")
	text := "security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI\nsasl.jaas.config=Module required password=\"" + canary + "\nssl.truststore.password=" + canary + "\nssl.keystore.key=" + canary + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
