//go:build unix

package instep

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	benchChild      = "INSTEP_BENCH_CHILD"
	benchGroups     = 10_000
	benchPartitions = 10
)

func init() { //nolint:gochecknoinits // TestMain is for all systems, this file isn't
	child = func() (bool, error) {
		if os.Getenv(benchChild) == "" {
			return false, nil
		}
		return true, serveBench()
	}
}

// BenchmarkIdleGroups is one interval of 10 000 groups x 10 partitions of which none has moved. The
// clusters are kfakes in a process of their own, so that cpu-ms/op is the mirror's.
func BenchmarkIdleGroups(b *testing.B) {
	s, v := benchPair(b)
	began, cpu := time.Now(), cpuTime()
	if r := sync1(b, s, v); r.Changed != benchGroups*benchPartitions {
		b.Fatalf("the first round: %+v", r)
	}
	b.Logf("the first round, which commits all: %v, %v CPU", time.Since(began).Round(time.Millisecond), (cpuTime() - cpu).Round(time.Millisecond))
	before, n := cpuTime(), 0
	for b.Loop() {
		if r := sync1(b, s, v); r.Changed > 0 || r.Groups != benchGroups {
			b.Fatalf("%+v", r)
		}
		n++
	}
	b.ReportMetric(float64((cpuTime()-before).Milliseconds())/float64(n), "cpu-ms/op")
}

func benchPair(b *testing.B) (*Groups, View) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), benchChild+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	var cls []*rawkafka.Cluster
	v := View{Topics: []Topic{{Source: "orders", Target: "orders", Partitions: slices.Repeat([]Partition{{Durable: 1000}}, benchPartitions)}}}
	for _, id := range []*kadm.TopicID{&v.Topics[0].SourceID, &v.Topics[0].TargetID} {
		if !lines.Scan() {
			b.Fatal("the child has ended")
		}
		cl, err := rawkafka.Connect(b.Context(), []kgo.Opt{kgo.SeedBrokers(strings.Fields(lines.Text())...)}, rawkafka.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(cl.Close)
		cls = append(cls, cl)
		topics, err := cl.Topics(b.Context(), "orders")
		if err != nil {
			b.Fatal(err)
		}
		*id = topics["orders"].ID
	}
	l, err := ledger.Open(b.Context(), cls[1])
	if err != nil {
		b.Fatal(err)
	}
	return NewGroups(GroupsConfig{Sides: Sides{Source: cls[0], Target: cls[1], Ledger: l, Budget: 2 * time.Minute}}), v
}

// serveBench is the child: two clusters, the first with the groups, until its standard input ends.
func serveBench() error {
	ctx := context.Background()
	for i := range 2 {
		c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.ClusterID(fmt.Sprintf("bench-%d", i)), kfake.SeedTopics(benchPartitions, "orders"))
		if err != nil {
			return err
		}
		defer c.Close()
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
		if err != nil {
			return err
		}
		defer cl.Close()
		var eg errgroup.Group
		eg.SetLimit(16)
		for g := 0; i == 0 && g < benchGroups; g++ {
			eg.Go(func() error {
				os := kadm.Offsets{}
				for p := range int32(benchPartitions) {
					os.AddOffset("orders", p, int64(g%1000), 3)
				}
				return kadm.NewClient(cl).CommitAllOffsets(ctx, fmt.Sprintf("group-%05d", g), os)
			})
		}
		if err := eg.Wait(); err != nil {
			return err
		}
		if _, err := fmt.Println(strings.Join(c.ListenAddrs(), " ")); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
