package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// crashes is how often a crash test kills: 10 times, or 100 with KAFKADR_LONG.
func crashes() int {
	if os.Getenv("KAFKADR_LONG") != "" {
		return 100
	}
	return 10
}

// randomFor prints the seed of a test's random instants.
func randomFor(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// between is a random time from low to high.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}

// crash ends a run of the program after a random while: mostly by SIGKILL, now
// and then by SIGTERM, after which it has 10 s. It says whether the run had
// ended by itself before.
func (f *following) crash(t *testing.T, random *rand.Rand, low, high time.Duration) (done bool) {
	t.Helper()
	select {
	case <-f.ended:
		return true
	case <-time.After(between(random, low, high)):
	}
	if random.IntN(4) > 0 {
		return f.stop(t, syscall.SIGKILL).code == 0
	}
	start := time.Now()
	o := f.stop(t, syscall.SIGTERM)
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("stopping took %s", d)
	}
	if o.code == -1 && o.stderr == "" {
		return false // the signal came before the program had begun
	}
	if o.code != 0 {
		o.want(t, 130)
	}
	return o.code == 0
}

// producing keeps a topic of plain records and one of transactions growing,
// until the returned func is called. It is for tests of processes: a test that skipped itself for
// them with producers under way would have these fail.
func (s *source) producing(plain, transactional string) (stop func()) {
	s.t.Helper()
	testkafka.OtherProcesses(s.t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := s.cl.ProduceSync(context.WithoutCancel(ctx), sample(plain, 0, i), sample(plain, 1, i), sample(plain, 2, i)).FirstErr(); err != nil {
				s.t.Error(err)
				return
			}
		}
	})
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			s.transactions(transactional, 1)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// TestCrashFollow kills a follower again and again while its topics grow. In
// the end nothing is lost, doubled or reordered, and at any time the archive
// verifies.
func TestCrashFollow(t *testing.T) {
	random := randomFor(t)
	s := newSource(t, pool.Real(t, testkafka.Options{}), "crash.")
	orders, payments := s.create("orders", 3, nil), s.create("payments", 1, nil)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	stop := s.producing(orders, payments)
	for range crashes() {
		f := follow(t, s.brokers(), store, "--topics", `crash\..*`, "--every", "400ms", "--flush", "100ms")
		if f.crash(t, random, 50*time.Millisecond, 2*time.Second) {
			t.Fatalf("the follower ended by itself: %s", f.stderr.String())
		}
		if o := kdr(t, "verify", "--store", store); o.code != 0 && !strings.Contains(o.stderr, "no such snapshot") && !strings.Contains(o.stderr, "no archive") {
			if !strings.Contains(o.stderr, "no such file or directory") { // killed before it made the directory
				o.want(t, 0)
			}
		}
	}
	stop()
	kdr(t, "backup", "--brokers", s.brokers(), "--store", store, "--topics", `crash\..*`).want(t, 0)
	kdr(t, "verify", "--store", store).want(t, 0)
	kdr(t, "restore", "--store", store, "--brokers", s.brokers(), "--same-cluster", "--prefix", "followed.").want(t, 0)
	wantSamePrefixed(t, s, s, "followed.", orders, payments)
}

// sendNoise produces batches of n incompressible records, one to each partition.
func (s *source) sendNoise(topic string, partitions int32, n int) {
	s.t.Helper()
	noise := rand.NewChaCha8([32]byte{1})
	var records []*kgo.Record
	for i := range n {
		for p := range partitions {
			r := sample(topic, p, i)
			r.Value = make([]byte, 500)
			_, _ = noise.Read(r.Value)
			records = append(records, r)
		}
	}
	if err := s.cl.ProduceSync(s.t.Context(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// TestCrashRestore kills a restore again and again, until it is done, and the
// next one, and the next: each result equals the source.
func TestCrashRestore(t *testing.T) {
	random := randomFor(t)
	s := newSource(t, pool.Real(t, testkafka.Options{}), "again.")
	orders, payments := s.create("orders", 3, nil), s.create("payments", 1, nil)
	for range 50 {
		s.sendNoise(orders, 3, 100)
	}
	s.transactions(payments, 100)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	kdr(t, "backup", "--brokers", s.brokers(), "--store", store, "--topics", `again\..*`).want(t, 0)

	restore := func(n int) []string {
		return []string{"restore", "--store", store, "--brokers", s.brokers(), "--same-cluster", "--prefix", fmt.Sprintf("try%d.", n), "--rate", "8MiB"}
	}
	begin := time.Now()
	kdr(t, restore(-1)...).want(t, 0) // undisturbed: how long is a restore?
	took := time.Since(begin)
	n, inside := 0, 0
	for i := range crashes() {
		high := took * 9 / 8
		if i%3 == 0 {
			high += 5 * time.Second // a restore that goes on looks around before it adds holes
		}
		if start(t, restore(n)...).crash(t, random, took/8, high) {
			wantSamePrefixed(t, s, s, fmt.Sprintf("try%d.", n), orders, payments)
			n++
		} else if halfDone(t, kdr(t, append(restore(n), "--dry-run", "--json")...).want(t, 0)) {
			inside++
		}
	}
	kdr(t, restore(n)[:len(restore(n))-2]...).want(t, 0)
	wantSamePrefixed(t, s, s, fmt.Sprintf("try%d.", n), orders, payments)
	t.Logf("%d restores were done; %d kills left a partition half done; an undisturbed restore takes %s", n+1, inside, took)
}

// halfDone says whether a plan finds a partition of which a part is there.
func halfDone(t *testing.T, o outcome) bool {
	t.Helper()
	for _, topic := range o.json(t)["plan"].(map[string]any)["topics"].([]any) {
		for _, partition := range topic.(map[string]any)["partitions"].([]any) {
			p := partition.(map[string]any)
			if at := p["position"].(float64); at > 0 && at < p["end_offset"].(float64) {
				return true
			}
		}
	}
	return false
}

// TestTwoFollowers: the second takes over, the first stops and says who did;
// what they wrote together verifies and is whole.
func TestTwoFollowers(t *testing.T) {
	testkafka.OtherProcesses(t)
	s := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	orders, payments := s.create("orders", 3, nil), s.create("payments", 1, nil)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	stop := s.producing(orders, payments)
	args := []string{"--every", "300ms", "--flush", "50ms"}
	first := follow(t, s.brokers(), store, args...)
	first.waitForSnapshots(t, 2)
	second := follow(t, s.brokers(), store, args...)
	o := first.wait(t).want(t, 4)
	if !strings.Contains(o.stderr, "fenced") || !strings.Contains(o.stderr, "took over") {
		t.Errorf("the first doesn't say who took over: %s", o.stderr)
	}
	second.waitForSnapshots(t, 3)
	third := follow(t, s.brokers(), store, args...)
	second.wait(t).want(t, 4)
	third.waitForSnapshots(t, 2)
	stop()
	third.stop(t, syscall.SIGTERM).want(t, 130)
	kdr(t, "backup", "--brokers", s.brokers(), "--store", store).want(t, 0)
	kdr(t, "verify", "--store", store).want(t, 0)
	target := testkafka.Fake(t, testkafka.Options{})
	kdr(t, "restore", "--store", store, "--brokers", target.Addrs()[0]).want(t, 0)
	wantSame(t, s, target, orders, payments)
}
