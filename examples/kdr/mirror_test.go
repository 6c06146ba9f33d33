package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// twoFakes are a source with a load and an empty standby.
func twoFakes(t *testing.T, n int) (from *source, to testkafka.Cluster, records int) {
	t.Helper()
	from = newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	return from, testkafka.Fake(t, testkafka.Options{}), from.fill(n)
}

// TestMirrorOnce: all that is there is mirrored, behind a prefix as well; the document says how
// much; run again, nothing is left to do.
func TestMirrorOnce(t *testing.T) {
	from, to, records := twoFakes(t, 200)
	args := []string{"mirror", "--from", from.brokers(), "--to", to.Addrs()[0], "--json"}
	plan := kdr(t, append(args, "--dry-run")...).want(t, 0).json(t)
	if topics := plan["plan"].(map[string]any)["topics"].([]any); plan["dry_run"] != true || len(topics) != 3 {
		t.Errorf("the plan: %v", plan)
	}
	doc := kdr(t, append(args, "--once")...).want(t, 0).json(t)
	if doc["records"] != float64(records) || doc["lag_records"] != 0.0 || doc["lag_ms"] != 0.0 || doc["bytes"].(float64) <= 0 || len(doc["topics"].([]any)) != 3 {
		t.Errorf("want %d records, got %v", records, doc)
	}
	wantSame(t, from, to, "orders", "payments", "empty")
	wantOffset(t, to, "billing", "orders", 100)
	if doc := kdr(t, append(args, "--once")...).want(t, 0).json(t); doc["records"] != 0.0 {
		t.Errorf("once more: %v", doc)
	}
	kdr(t, append(args, "--once", "--prefix", "A.", "--name", "remote")...).want(t, 0)
	wantSamePrefixed(t, from, to, "A.", "orders", "payments", "empty")
}

// TestMirrorSignal: at SIGTERM a mirror ends within 10 s, what it did is printed, and it goes on
// exactly when it is run again.
func TestMirrorSignal(t *testing.T) {
	from, to, _ := twoFakes(t, 200)
	args := []string{"mirror", "--from", from.brokers(), "--to", to.Addrs()[0], "--json"}
	for range 3 {
		m := start(t, args...)
		from.send("orders", 3, 50)
		awaitCopied(t, from, to, "orders", 3)
		began := time.Now()
		o := m.stop(t, syscall.SIGTERM).want(t, 130)
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("it took %v to end", d)
		}
		if doc := o.json(t); doc["records"].(float64) < 150 {
			t.Errorf("the document: %v", doc)
		}
	}
	from.send("orders", 3, 50)
	kdr(t, append(args, "--once")...).want(t, 0)
	wantSame(t, from, to, "orders", "payments", "empty")
}

// awaitCopied waits until the standby's ends of a topic are the source's.
func awaitCopied(t *testing.T, from *source, to testkafka.Cluster, topic string, partitions int32) {
	t.Helper()
	standby := newSource(t, to, "")
	testkafka.Eventually(t, 3*time.Minute, func(ctx context.Context) error {
		want, err := from.adm.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		got, err := standby.adm.ListEndOffsets(ctx, topic)
		if err := errors.Join(err, got.Error()); err != nil {
			return err
		}
		for p := range partitions {
			w, _ := want.Lookup(topic, p)
			if g, _ := got.Lookup(topic, p); g.Offset != w.Offset {
				return fmt.Errorf("%s/%d is at %d, want %d", topic, p, g.Offset, w.Offset)
			}
		}
		return nil
	})
}

// TestMirrorCrash kills the program again and again while its topics grow: nothing is lost, doubled
// or reordered.
func TestMirrorCrash(t *testing.T) {
	random := randomFor(t)
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	to := testkafka.Fake(t, testkafka.Options{})
	orders, payments := from.create("orders", 3, nil), from.create("payments", 1, nil)
	stop := from.producing(orders, payments)
	args := []string{"mirror", "--from", from.brokers(), "--to", to.Addrs()[0]}
	for range crashes() / 2 {
		if m := start(t, args...); m.crash(t, random, 50*time.Millisecond, 2*time.Second) {
			t.Fatalf("the mirror ended by itself: %s", m.stderr.String())
		}
	}
	stop()
	kdr(t, append(args, "--once")...).want(t, 0)
	wantSame(t, from, to, orders, payments)
}

// TestMirrorManyPartitions: 10 000 partitions, all of them written to, are mirrored within 400 MiB;
// in the long run between three real brokers on either side.
func TestMirrorManyPartitions(t *testing.T) {
	testkafka.OtherProcesses(t)
	const topics, partitions, most = 10, 1000, 400
	cluster, opts := testkafka.Fake, testkafka.Options{}
	if os.Getenv("KAFKADR_LONG") != "" {
		cluster, opts = testkafka.Real, testkafka.Options{Brokers: 3, Heap: "1g"}
	}
	from := newSource(t, cluster(t, opts), "")
	to := cluster(t, opts)
	for i := range topics {
		from.create(fmt.Sprintf("wide-%d", i), partitions, nil)
	}
	write := func(n int) {
		for i := range topics {
			from.send(fmt.Sprintf("wide-%d", i), partitions, n)
		}
	}
	write(2)
	m := start(t, "mirror", "--from", from.brokers(), "--to", to.Addrs()[0])
	caughtUp := func() {
		for i := range topics {
			awaitCopied(t, from, to, fmt.Sprintf("wide-%d", i), partitions)
		}
	}
	began := time.Now()
	caughtUp()
	t.Logf("caught up after %v", time.Since(began).Round(time.Millisecond))
	write(1)
	caughtUp()
	if err := m.alive(); err != nil {
		t.Fatal(err)
	}
	peak := peakOf(t, m.cmd.Process.Pid)
	t.Logf("%d MiB at most", peak)
	if peak > most {
		t.Errorf("%d MiB at most, want %d", peak, most)
	}
	m.stop(t, syscall.SIGTERM).want(t, 130)
	want, got := read(t, from, kgo.ReadCommitted(), "wide-3"), read(t, to, kgo.ReadUncommitted(), "wide-3")
	if d := firstDifference(want, got); d != "" {
		t.Error(d)
	}
}

// peakOf is a process's largest resident size, in MiB.
func peakOf(t *testing.T, pid int) (mib int) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip(err)
	}
	_, rest, ok := strings.Cut(string(raw), "VmHWM:")
	if !ok {
		t.Skip("no VmHWM")
	}
	if _, err := fmt.Sscan(rest, &mib); err != nil {
		t.Fatal(err)
	}
	return mib >> 10
}
