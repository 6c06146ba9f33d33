package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// placements collects what OnPlaced is told, and says when it isn't in order or once.
type placements struct {
	testing.TB
	mu  sync.Mutex
	got []Placed
}

func (ps *placements) placed(p Placed) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if n := len(ps.got); n > 0 && (p.First != ps.got[n-1].First+ps.got[n-1].Records || p.Base < ps.got[n-1].Base+ps.got[n-1].Records) {
		ps.Errorf("%+v behind %+v", p, ps.got[n-1])
	}
	ps.got = append(ps.got, p)
}

// checkpoint is the one behind what was placed, or first.
func (ps *placements) checkpoint(first Checkpoint) Checkpoint {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.got) == 0 {
		return first
	}
	last := ps.got[len(ps.got)-1]
	return Checkpoint{last.Base + last.Records, last.First + last.Records}
}

// translate appends records up to the ordinal n, opening again whenever it is undecided.
func (t *target) translate(ctx context.Context, c *Copier, name rawkafka.Partition, ps *placements, first Checkpoint, n int64) error {
	for try := 1; ; try++ {
		tr, err := c.OpenTranslated(ctx, name, Translation{Job: "job", From: ps.checkpoint(first), OnPlaced: ps.placed})
		if err != nil {
			return err
		}
		for err == nil && tr.Next() < n {
			err = tr.Append(ctx, mustBatch(tr.Next(), int(min(1+tr.Next()%7, n-tr.Next()))))
		}
		if err == nil {
			err = tr.Flush(ctx)
		}
		tr.Close()
		if err == nil || !errors.Is(err, ErrUndecided) || try == 500 {
			return err
		}
	}
}

// checkPlaced: the job's records lie where ps says, and nothing else of the job does; ReadPlaced
// says the same.
func (t *target) checkPlaced(name rawkafka.Partition, ps *placements, first Checkpoint, n int64) {
	t.Helper()
	end, _ := t.ends(name)
	log := t.read(name, end)
	ours := make(map[int64]int64)
	for _, p := range ps.got {
		for i := range p.Records {
			ours[p.Base+i] = p.First + i
		}
	}
	if int64(len(ours)) != n {
		t.Errorf("%d records placed, want %d", len(ours), n)
	}
	for o, value := range log {
		want := "foreign"
		if ordinal, ok := ours[o]; ok {
			want = fmt.Sprintf("record %d", ordinal)
		}
		if value != want {
			t.Fatalf("offset %d holds %q, want %q", o, value, want)
		}
	}
	var read []Placed
	for p, err := range ReadPlaced(t.Context(), t.cluster, name, "job", first, math.MaxInt64) {
		t.must(err)
		read = append(read, p)
	}
	if diff := cmp.Diff(ps.got, read); diff != "" {
		t.Errorf("read, not told: %s", diff)
	}
}

// foreign writes between until the returned func is called.
func (t *target) foreign(topic string) (stop func()) {
	const most = 2000 // else a job that reads again what they wrote, with every other fetch cut, may never be done
	ctx, cancel := context.WithCancel(t.Context())
	cl := testkafka.Client(t, t.kafka, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	t.must(cl.ProduceSync(ctx, &kgo.Record{Value: []byte("foreign")}).FirstErr())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; n < most && ctx.Err() == nil; n++ {
			if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte("foreign")}).FirstErr(); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// TestTranslated: a job's records come to lie between those of others, once each and in order,
// whatever breaks and however many processes do the job; the map that is told is the one that can
// be read.
func TestTranslated(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		for _, c := range []struct {
			what string
			cfg  Config
			cut  *cutter
			jobs int
		}{
			{what: "one", jobs: 1},
			{what: "raw", cfg: Config{JoinBelow: -1}, jobs: 1},
			{what: "twins", cfg: Config{JoinBelow: -1}, jobs: 3},
			{what: "cut-before", cut: &cutter{key: kmsg.Produce, every: 9}, jobs: 1},
			{what: "cut-after", cfg: Config{JoinBelow: -1}, cut: &cutter{key: kmsg.Produce, every: 9, after: true}, jobs: 1},
			{what: "fetches-cut", cfg: Config{JoinBelow: -1}, cut: &cutter{key: kmsg.Fetch, every: 2, after: true}, jobs: 2},
			{what: "offsets-lost", cut: &cutter{key: kmsg.ListOffsets, every: 3}, jobs: 2},
		} {
			t.Run(c.what, func(t *testing.T) {
				var opts []kgo.Opt
				if c.cut != nil {
					c.cut.seen.Store(1) // not the first, with which one learns
					opts = append(opts, c.cut.opt())
				}
				translateAll(t, connect(t, kafka, c.cfg, opts...), c.what, c.cfg, c.jobs)
			})
		}
	})
}

// translateAll does a job in several processes at once, while others write.
func translateAll(t *testing.T, tg *target, topic string, cfg Config, jobs int) {
	name := tg.topic(topic, 1, 1, nil)[0]
	stop := connect(t, tg.kafka, Config{}).foreign(topic)
	end, _ := tg.ends(name)
	first, n := Checkpoint{Offset: end}, int64(300)
	all := make([]*placements, jobs)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = &placements{TB: t}
		wg.Go(func() {
			if err := tg.translate(t.Context(), tg.newCopier(cfg), name, all[i], first, n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stop()
	for _, ps := range all {
		tg.checkPlaced(name, ps, first, n)
	}
}

// TestTranslatedCheckpoints: from each checkpoint, late or early, a process goes on at the same
// place and is told what lies behind it.
func TestTranslatedCheckpoints(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{JoinBelow: -1})
		name := tg.topic("checkpoints", 1, 1, nil)[0]
		tg.foreign(name.Topic)()
		end, _ := tg.ends(name)
		first := Checkpoint{Offset: end, Ordinal: 1000}
		if testkafka.Kfake(kafka) == nil {
			first.Ordinal = math.MaxInt32 - 50 // the sequence wraps, which kfake doesn't know
		}
		ps := &placements{TB: t}
		for n := first.Ordinal; n < first.Ordinal+100; n += 20 {
			tg.must(tg.translate(t.Context(), tg.copier, name, ps, first, n))
			tg.foreign(name.Topic)()
		}
		whole := slices.Clone(ps.got)
		for i, p := range whole {
			again := &placements{TB: t}
			tr, err := tg.copier.OpenTranslated(t.Context(), name, Translation{Job: "job", From: Checkpoint{p.Base, p.First}, OnPlaced: again.placed})
			tg.must(err)
			if diff := cmp.Diff(whole[i:], again.got); diff != "" || tr.Next() != ps.checkpoint(first).Ordinal {
				t.Fatalf("from %+v: next %d, %s", p, tr.Next(), diff)
			}
		}
		next := ps.checkpoint(first).Ordinal
		wrong := []Checkpoint{{1 << 40, 0}}
		if testkafka.Kfake(kafka) == nil { // which doesn't tell what it remembers
			next = tg.afterDeletion(name, first, next)
			end, _ = tg.ends(name)
			wrong = append(wrong, Checkpoint{end, next + 5})
		}
		// A checkpoint of another log.
		brief := tg.newCopier(Config{RetryFor: 100 * time.Millisecond})
		for _, from := range wrong {
			if _, err := brief.OpenTranslated(t.Context(), name, Translation{Job: "job", From: from, OnPlaced: func(Placed) {}}); !errors.Is(err, ErrLost) {
				t.Errorf("from %+v: %v", from, err)
			}
		}
	})
}

// afterDeletion: retention has deleted the last of the job; the leader remembers.
func (t *target) afterDeletion(name rawkafka.Partition, first Checkpoint, next int64) int64 {
	t.Helper()
	end, _ := t.ends(name)
	t.deleteBefore(name, end)
	tr, err := t.copier.OpenTranslated(t.Context(), name, Translation{Job: "job", From: first, OnPlaced: func(p Placed) {
		if p.First != next {
			t.Errorf("told %+v", p)
		}
	}})
	t.must(err)
	if tr.Next() != next {
		t.Errorf("deleted: next %d, want %d", tr.Next(), next)
	}
	t.must(tr.Append(t.Context(), mustBatch(7, 3)))
	t.must(tr.Flush(t.Context()))
	return tr.Next()
}

func (t *target) deleteBefore(name rawkafka.Partition, offset int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = name.Partition, offset
	rt.Topic, rt.Partitions = name.Topic, append(rt.Partitions, rp)
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 10_000
	leader, _, err := t.cluster.Leader(t.Context(), name)
	t.must(err)
	_, err = t.cluster.Request(t.Context(), leader, req)
	t.must(err)
}

// TestTranslatedAnswers: what was appended but isn't on all replicas is looked up in the log, not
// told; what was refused is sent again.
func TestTranslatedAnswers(t *testing.T) {
	for _, a := range []struct {
		e    *kerr.Error
		base int64
		sent bool
	}{
		{kerr.RequestTimedOut, 2, false}, {kerr.NotEnoughReplicasAfterAppend, 2, false}, {kerr.NotLeaderForPartition, -1, true}, {kerr.NotLeaderForPartition, 2, false},
		{kerr.NotEnoughReplicas, -1, true}, {kerr.UnknownServerError, 2, false}, {kerr.UnknownServerError, -1, false}, {kerr.OutOfOrderSequenceNumber, -1, false},
	} {
		t.Run(fmt.Sprintf("%s at %d", a.e.Message, a.base), func(t *testing.T) {
			kafka := testkafka.Fake(t, testkafka.Options{})
			tg := connect(t, kafka, Config{JoinBelow: -1})
			name := tg.topic("t", 1, 1, nil)[0]
			tg.foreign(name.Topic)()
			script(testkafka.Kfake(kafka), 3, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
				return answerProduce(req, a.e.Code, a.base), nil // not appended, whatever it says
			})
			end, _ := tg.ends(name)
			first, ps := Checkpoint{Offset: end}, &placements{TB: t}
			tr, err := tg.copier.OpenTranslated(t.Context(), name, Translation{Job: "job", From: first, OnPlaced: ps.placed})
			tg.must(err)
			for range 5 {
				tg.must(tr.Append(t.Context(), mustBatch(tr.Next(), 3)))
				if err = tr.Flush(t.Context()); err != nil {
					break
				}
			}
			if a.sent != (err == nil) || !a.sent && !errors.Is(err, ErrUndecided) {
				t.Errorf("got %v", err)
			}
			tg.must(tg.translate(t.Context(), tg.copier, name, ps, first, 15))
			tg.checkPlaced(name, ps, first, 15)
		})
	}
}

// TestTranslatedDoubled: records of the job that are there twice are found by whoever reads them.
func TestTranslatedDoubled(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	ps := &placements{TB: t}
	tg.must(tg.translate(t.Context(), tg.copier, name, ps, Checkpoint{}, 40))
	job := newJob("job", name)
	// kfake takes a new epoch from sequence 0, as a leader that has forgotten takes any.
	buf := mustBatch(0, 5).ForProduce(nil, job.pid(), 1, 0)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = name.Topic, name.TopicID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = buf
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	_, err := tg.cluster.Request(t.Context(), 0, req)
	tg.must(err)
	if _, err := tg.copier.OpenTranslated(t.Context(), name, Translation{Job: "job", OnPlaced: func(Placed) {}}); !errors.Is(err, ErrDoubled) {
		t.Errorf("open: %v", err)
	}
	for _, err = range ReadPlaced(t.Context(), tg.cluster, name, "job", Checkpoint{}, math.MaxInt64) {
	}
	if !errors.Is(err, ErrDoubled) {
		t.Errorf("read: %v", err)
	}
}

// TestPlacedBytes: what is read is cut anywhere, hostile, and of old formats; nothing but a whole
// batch counts.
func TestPlacedBytes(t *testing.T) {
	name := rawkafka.Partition{Topic: "t"}
	job := newJob("job", name)
	var raw []byte
	for i := range int64(4) {
		raw = append(raw, mustBatch(100+i*3, 3).ForProduce(nil, job.pid(), 0, int32(i*3))...)
		raw[len(raw)-mustBatch(100, 3).Len()+7] = byte(100 + i*3) // ForProduce has put 0
	}
	for cut := range len(raw) {
		r := placedReader{prod: job}
		ps := &placements{TB: t}
		if err := r.take(raw[:cut], 1000, ps.placed); err != nil {
			t.Fatal(err)
		}
		if want := cut * 4 / len(raw); len(ps.got) != want {
			t.Fatalf("cut at %d: %d batches, want %d", cut, len(ps.got), want)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		bad := slices.Clone(raw)
		for range 1 + rnd.IntN(3) {
			bad[rnd.IntN(len(bad))] = byte(rnd.Uint32())
		}
		r := placedReader{prod: job}
		_ = r.take(bad, 1000, func(Placed) {})
	}
}

// TestTranslation: what is missing is said.
func TestTranslation(t *testing.T) {
	if err := (Translation{From: Checkpoint{Offset: -1}}).validate(); err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 3 {
		t.Error(err)
	}
}
