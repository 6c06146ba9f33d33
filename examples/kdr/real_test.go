package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestRealCycle backs a real Kafka up to S3 and to a directory, restores both
// onto a second one, compares, and reads the export with Kafka's own tool.
func TestRealCycle(t *testing.T) {
	from := newSource(t, pool.Real(t, testkafka.Options{}), "cycle.")
	s3 := testkafka.MinIO(t)
	from.fill(2000)
	to := testkafka.Real(t, testkafka.Options{})
	topics := []string{"cycle.orders", "cycle.payments", "cycle.empty"}
	for name, store := range map[string]string{"s3": s3.URL + "&prefix=cycle/", "file": "file://" + filepath.Join(t.TempDir(), "archive")} {
		t.Run(name, func(t *testing.T) {
			backup := []string{"backup", "--brokers", from.brokers(), "--store", store, "--topics", `cycle\..*`, "--json"}
			first := kdr(t, backup...).want(t, 0).json(t)
			from.send("cycle.orders", 3, 100)
			second := kdr(t, backup...).want(t, 0).json(t)
			if first["topics"] != 3.0 || second["records"] != 300.0 {
				t.Errorf("backups: %v\n%v", first, second)
			}
			kdr(t, "verify", "--store", store).want(t, 0)
			doc := kdr(t, "restore", "--store", store, "--brokers", to.Addrs()[0], "--groups", "--prefix", name+".", "--verify-first", "--json").want(t, 0).json(t)
			t.Logf("%s: restored %v records in %v ms", name, doc["records"], doc["duration_ms"])
			wantSamePrefixed(t, from, to, name+".", topics...)
			wantOffset(t, to, "cycle.billing", name+".cycle.orders", 1000)
			kdr(t, "restore", "--store", store, "--brokers", to.Addrs()[0], "--prefix", name+".", "--release").want(t, 0)

			dir := filepath.Join(t.TempDir(), "export")
			kdr(t, "export", "--store", store, "--dir", dir).want(t, 0)
			for _, partition := range []string{"cycle.orders-0", "cycle.payments-0", "cycle.empty-0"} {
				testkafka.DumpLog(t, filepath.Join(dir, partition, "00000000000000000000.log"))
			}
		})
	}
}

func wantOffset(t *testing.T, c testkafka.Cluster, group, topic string, want int64) {
	t.Helper()
	offsets, err := kadm.NewClient(testkafka.Client(t, c)).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := offsets.Lookup(topic, 0); o.At != want {
		t.Errorf("%s on %s/0 is at %d, want %d", group, topic, o.At, want)
	}
}

// TestRealSecure: TLS, SCRAM and an authorizer, by a Kafka client's own file.
func TestRealSecure(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	checkCredentials(t, c)
}

// TestWrongS3: a server that isn't there, a bucket that isn't there and a
// wrong key are one clear error each.
func TestWrongS3(t *testing.T) {
	c := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	c.fill(5)
	s3 := testkafka.MinIO(t)
	nobody := strings.Replace(s3.URL, strings.TrimPrefix(s3.Endpoint, "http://127.0.0.1:"), closedPort(t)[len("127.0.0.1:"):], 1)
	noBucket := strings.Replace(s3.URL, "s3://"+s3.Bucket, "s3://nonesuch", 1)
	t.Run("group", func(t *testing.T) {
		for name, run := range map[string]func(args ...string) outcome{
			"no server": func(args ...string) outcome { return kdr(t, append(args, "--store", nobody)...) },
			"no bucket": func(args ...string) outcome { return kdr(t, append(args, "--store", noBucket)...) },
			"wrong key": func(args ...string) outcome {
				return kdrEnv(t, []string{"AWS_SECRET_ACCESS_KEY=wrong"}, append(args, "--store", s3.URL)...)
			},
			"no archive": func(args ...string) outcome { return kdr(t, append(args[:1], "--store", s3.URL)...) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run("list").want(t, 1).wantOneLine(t, "s3://")
				if name != "no archive" {
					run("backup", "--brokers", c.brokers()).want(t, 1).wantOneLine(t, "s3://")
				}
			})
		}
	})
}
