package exactcopy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// A stream is a source that a test knows by heart: offsets [0, len) of each partition, in runs of
// records and of holes.
type stream struct {
	kinds []bool
	most  int // records in a batch
}

func newStream(seed uint64, partition int32, length int) stream {
	rnd := rand.New(rand.NewPCG(seed, uint64(partition)))
	s := stream{trues(1 + rnd.IntN(10)), 20}
	for record := false; len(s.kinds) < length; record = !record {
		n := 1 + rnd.IntN(40)
		if !record && rnd.IntN(3) > 0 {
			n = 1
		}
		for range n {
			s.kinds = append(s.kinds, record)
		}
	}
	s.kinds = s.kinds[:length]
	return s
}

// newEven is a stream of equal batches, of which those of two epochs, or generations, are easily
// confused.
func newEven(rnd *rand.Rand, length int) stream {
	s := stream{most: 4}
	for len(s.kinds) < length {
		s.kinds = append(s.kinds, trues(s.most*(1+rnd.IntN(3)))...)
		s.kinds = append(s.kinds, make([]bool, 1+rnd.IntN(2))...)
	}
	return s
}

// run is what lies at an offset: a record or not, and how many of its kind, up to bound.
func (s stream) run(at int64, bound int) (record bool, n int) {
	record = s.kinds[at]
	for n = 1; n < bound && int(at)+n < len(s.kinds) && s.kinds[int(at)+n] == record; n++ {
	}
	return record, n
}

// copyStream copies to the end, opening the partition again whenever it is undecided.
func copyStream(ctx context.Context, c *Copier, name rawkafka.Partition, s stream) error {
	for {
		err := copyOnce(ctx, c, name, s)
		if err == nil || !errors.Is(err, ErrUndecided) && !rawkafka.Retriable(err) || ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "again:", err)
	}
}

func copyOnce(ctx context.Context, c *Copier, name rawkafka.Partition, s stream) error {
	p, err := c.Open(ctx, name)
	if err != nil {
		return err
	}
	defer p.Close()
	for p.Position() < int64(len(s.kinds)) {
		position := p.Position()
		record, n := s.run(position, s.most)
		if !record {
			_, n = s.run(position, 1000)
			err = p.Hole(ctx, int64(n))
		} else {
			err = p.Append(ctx, mustBatch(position, n))
		}
		if err != nil {
			return err
		}
	}
	return p.Flush(ctx, true)
}

func mustBatch(base int64, n int) batch.Batch {
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Value: fmt.Appendf(nil, "record %d", base+int64(i)), Timestamp: time.UnixMilli(1_700_000_000_000)})
	}
	raw, err := batch.Append(nil, base, kgo.NoCompression(), rs...)
	if err != nil {
		panic(err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		panic(err)
	}
	return b
}

// childJob is what a copying process of its own is told.
type childJob struct {
	Addrs      []string
	Topic      string
	TopicID    []byte
	Partitions int32
	Seed       uint64
	Length     int
	First      uint16 // generation of the producer ids
	Epochs     int16  // of a generation
}

func (j childJob) names() (ps []rawkafka.Partition) {
	for i := range j.Partitions {
		ps = append(ps, rawkafka.Partition{Topic: j.Topic, TopicID: kadm.TopicID(j.TopicID), Partition: i})
	}
	return ps
}

const childEnv = "KAFKADR_EXACTCOPY_CHILD"

// child is the copying process, where this is one.
func child() bool {
	text := os.Getenv(childEnv)
	if text == "" {
		return false
	}
	if err := runChild(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func runChild(text string) error {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	ctx := context.Background()
	var cluster *rawkafka.Cluster
	for try := 1; ; try++ {
		var err error
		if cluster, err = rawkafka.Connect(ctx, []kgo.Opt{kgo.SeedBrokers(job.Addrs...)}, rawkafka.Config{RequestTimeout: 15 * time.Second}); err == nil {
			break
		} else if try == 10 {
			return err
		}
	}
	defer cluster.Close()
	c, err := New(ctx, Config{Cluster: cluster, TransactionalID: "stream", Quiet: 12 * time.Second, first: job.First, epochs: job.Epochs, OnRetry: said})
	if err != nil {
		return err
	}
	defer c.Close()
	var mu sync.Mutex
	var errs []error
	each(job.names(), func(name rawkafka.Partition) {
		err := copyStream(ctx, c, name, newStream(job.Seed, name.Partition, job.Length))
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	})
	return errors.Join(errs...)
}

// said tells on stderr, which is shown where the test fails.
func said(op string, err error) {
	fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), op, err)
}

// start starts the copying process.
func (j childJob) start(t *testing.T) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

// TestKilled: on three brokers, one follower standing still now and then, the leader is stopped
// (SIGSTOP) while the copying process is killed and started again, with data and holes under way.
// Nothing is doubled, lost or moved. Generations of producer ids last a few holes, across their
// wrap, and leaders forget them as soon as their last append is old data. Where KAFKADR_LONG is
// set, also at generation 0, remembered.
func TestKilled(t *testing.T) {
	forgets := map[string]string{"producer.id.expiration.check.interval.ms": "200"}
	t.Run("forgotten generations", func(t *testing.T) { killed(t, forgets, childJob{First: generations - 100, Epochs: 9}) })
	if os.Getenv("KAFKADR_LONG") != "" {
		t.Run("one generation", func(t *testing.T) { killed(t, nil, childJob{}) })
	}
}

func killed(t *testing.T, configs map[string]string, job childJob) {
	rounds, longest, length := 4, 3*time.Second, 40_000
	if os.Getenv("KAFKADR_LONG") != "" {
		rounds, longest, length = 40, 40*time.Second, 1_000_000
		job.Epochs *= 10
	}
	seed := uint64(20261122)
	if n, err := strconv.ParseUint(os.Getenv("KAFKADR_SEED"), 10, 64); err == nil {
		seed = n
	}
	all := map[string]string{"min.insync.replicas": "1", "replica.lag.time.max.ms": "4000"}
	maps.Copy(all, configs)
	kafka := testkafka.Real(t, testkafka.Options{Brokers: 3, Configs: all})
	tg := connect(t, kafka, Config{})
	names := tg.topic("killed", 4, 3, nil)
	job.Addrs, job.Topic, job.TopicID, job.Partitions, job.Seed, job.Length = kafka.Addrs(), "killed", names[0].TopicID[:], 4, seed, length
	rnd := rand.New(rand.NewPCG(seed, 0))
	cmd, out := job.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Logf("the last process: %s", out)
		}
	})
	var last int64
	for i := range rounds {
		var end int64
		await(t, func() bool { // it is in the middle of it
			end, _ = tg.ends(names[0])
			return end > last+100 || end == int64(length)
		})
		last = end
		t.Logf("round %d: at %d of %d", i, end, length)
		until(t, rnd, time.Second)
		leader, _, err := tg.cluster.Leader(t.Context(), names[rnd.IntN(len(names))])
		tg.must(err)
		follower := kafka.Brokers()[(int(leader)+rnd.IntN(2))%3]
		if follower != leader && i%2 == 0 {
			kafka.Pause(t, follower)
			until(t, rnd, time.Second)
		}
		kafka.Pause(t, leader)
		until(t, rnd, 300*time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		cmd, out = job.start(t)
		until(t, rnd, longest)
		kafka.Resume(t, leader)
		kafka.Resume(t, follower)
		for _, name := range names {
			tg.cluster.Forget(name)
		}
	}
	err := cmd.Wait()
	t.Logf("the last process: %s", out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range names {
		tg.check(name, newStream(seed, name.Partition, length).kinds)
	}
}

// until lets a random time pass: the faults' instants are the test's input.
func until(t *testing.T, rnd *rand.Rand, longest time.Duration) {
	t.Helper()
	if err := rawkafka.Sleep(t.Context(), longest/20+time.Duration(rnd.Int64N(int64(longest)))); err != nil {
		t.Fatal(err)
	}
}

// TestFollowerDown: with a follower standing still, what is appended is above the high watermark.
// Another process waits for the follower, and goes on at the true end.
func TestFollowerDown(t *testing.T) {
	kafka := testkafka.Real(t, testkafka.Options{Brokers: 3, Configs: map[string]string{"replica.lag.time.max.ms": "60000"}})
	tg := connect(t, kafka, Config{})
	name := tg.topic("down", 1, 3, nil)[0]
	p := tg.opened(tg.copier, name)
	tg.appendAll(p, 1, 10)
	tg.must(p.Flush(t.Context(), true))
	leader, _, err := tg.cluster.Leader(t.Context(), name)
	tg.must(err)
	follower := kafka.Brokers()[0]
	if follower == leader {
		follower = kafka.Brokers()[1]
	}
	var waits atomic.Int32
	c := tg.newCopier(Config{OnRetry: func(_ string, err error) {
		if errors.Is(err, errNotReplicated) {
			waits.Add(1)
		}
	}})
	_, err = c.Method(t.Context()) // which asks any broker
	tg.must(err)
	kafka.Pause(t, follower)
	tg.appendAll(p, 1, 10)
	var watermark int64
	await(t, func() (there bool) {
		var end int64
		end, watermark = tg.ends(name)
		return end == 20
	})
	if watermark != 10 {
		t.Errorf("high watermark %d, want 10", watermark)
	}
	opened := make(chan *Partition)
	go func() {
		next, err := c.Open(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		opened <- next
	}()
	await(t, func() bool { return waits.Load() > 0 })
	kafka.Resume(t, follower)
	next := <-opened
	if next == nil || next.Position() != 20 {
		t.Fatalf("%+v, want position 20", next)
	}
	tg.must(p.Flush(t.Context(), true))
	p.Close()
	tg.appendAll(next, 1, 10)
	tg.must(next.Hole(t.Context(), 3))
	tg.must(next.Flush(t.Context(), true))
	tg.check(name, append(trues(30), false, false, false))
}
