package source_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// world is a source that a sink follows, in simulated time. Its topic t has 20 records in one
// partition.
type world struct {
	*testing.T
	src  testkafka.Cluster
	opts []kgo.Opt         // as the sink has it
	both *testkafka.Shared // the source's address, where a stranger may answer as well
	life string            // of the topics that are made from now on: what their records begin with
	ends map[string]int
}

// a partition's records are named by the life of its topic and their offsets.
func values(life string, from, to int) (vs []string) {
	for i := from; i < to; i++ {
		vs = append(vs, fmt.Sprintf("%s%d", life, i))
	}
	return vs
}

func (w *world) admin() *kadm.Client { return kadm.NewClient(testkafka.Client(w, w.src)) }

func (w *world) create(topic string) {
	w.Helper()
	testkafka.Create(w, w.src, 1, 1, nil, topic)
	maps.DeleteFunc(w.ends, func(at string, _ int) bool { return strings.HasPrefix(at, topic+"/") })
}

func (w *world) produce(topic string, partition int32, n int) {
	w.Helper()
	cl := testkafka.Client(w, w.src, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	at := fmt.Sprintf("%s/%d", topic, partition)
	for _, v := range values(w.life, w.ends[at], w.ends[at]+n) {
		if err := cl.ProduceSync(w.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			w.Fatal(err)
		}
	}
	w.ends[at] += n
}

func (w *world) remove(topic string) {
	w.Helper()
	if _, err := w.admin().DeleteTopics(w.Context(), topic); err != nil {
		w.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) {
	w.Helper()
	if err := rawkafka.Sleep(w.Context(), d); err != nil {
		w.Fatal(err)
	}
}

// fetches has a func look at each fetch of t/0 from there on, with the offset: it may answer with
// an error or with nothing, which is what a log without records says.
func (w *world) fetches(answer func(offset int64) (is *kerr.Error, answered bool)) {
	k := testkafka.Kfake(w.src)
	k.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 {
			return nil, nil, false
		}
		is, answered := answer(req.Topics[0].Partitions[0].FetchOffset)
		if !answered {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		rt, rp := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		if rp.Partition = req.Topics[0].Partitions[0].Partition; is != nil {
			rp.ErrorCode = is.Code
		}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
}

// truncate has the source say that the log of t/0 is empty, as after an unclean election of a
// replica that has nothing, until grow is called.
func (w *world) truncate() (grow func()) {
	var whole atomic.Bool
	w.fetches(func(offset int64) (*kerr.Error, bool) {
		if offset > 0 {
			return kerr.OffsetOutOfRange, !whole.Load()
		}
		return nil, !whole.Load()
	})
	k := testkafka.Kfake(w.src)
	k.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		if whole.Load() {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.Offset = p.Partition, 0
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return func() { whole.Store(true) }
}

// sink is a job that follows the world.
type sink interface {
	start(w *world)
	stop(w *world)
	// holds are the records that it has of a partition, of its topic's newest incarnation and the
	// newest history of that.
	holds(w *world, topic string, partition int32) []string
	// told are the kinds of what it said, sorted.
	told() []string
}

// following holds what becomes of a partition that is followed, in each case, through both sinks:
// one table, since they follow by the same code.
var following = []struct {
	name   string
	before func(w *world) // before the sink is started
	down   func(w *world) // while it is stopped, after it has t
	during func(w *world) // while it runs, after it has t
	holds  map[string][]string
	// What either job says. A mirror has a policy for what it can't undo: it stops, and holds what
	// it held.
	backup, mirror []string
	stopped        []string // what a mirror holds of t, where that is something else
}{
	{name: "goes on", during: func(w *world) { w.produce("t", 0, 5) }, holds: map[string][]string{"t/0": values("a", 0, 25)}},
	{
		name:   "new topic",
		during: func(w *world) { w.create("new"); w.produce("new", 0, 5) },
		holds:  map[string][]string{"t/0": values("a", 0, 20), "new/0": values("a", 0, 5)},
	},
	{
		name: "grown",
		during: func(w *world) {
			if _, err := w.admin().UpdatePartitions(w.Context(), 2, "t"); err != nil {
				w.Fatal(err)
			}
			w.produce("t", 1, 5)
		},
		holds: map[string][]string{"t/0": values("a", 0, 20), "t/1": values("a", 0, 5)},
	},
	{
		name:   "re-created",
		during: func(w *world) { w.remove("t"); w.life = "b"; w.create("t"); w.produce("t", 0, 3) },
		holds:  map[string][]string{"t/0": values("b", 0, 3)}, stopped: values("a", 0, 20),
		backup: []string{"deleted"}, mirror: []string{"topic_recreated"},
	},
	{
		name:  "re-created while nobody looked",
		down:  func(w *world) { w.remove("t"); w.life = "b"; w.create("t"); w.produce("t", 0, 3) },
		holds: map[string][]string{"t/0": values("b", 0, 3)}, stopped: values("a", 0, 20),
		backup: []string{"deleted"}, mirror: []string{"topic_recreated"},
	},
	{
		name:   "deleted",
		during: func(w *world) { w.remove("t") },
		holds:  map[string][]string{"t/0": values("a", 0, 20)},
		backup: []string{"deleted"}, mirror: []string{"topic_deleted"},
	},
	{
		name: "without a leader",
		before: func(w *world) {
			lead := testkafka.Leaderless(w, w.src, "t", false)
			time.AfterFunc(30*time.Second, lead)
		},
		holds: map[string][]string{"t/0": values("a", 0, 20)},
	},
	{
		name: "truncated", // an unclean election, and then the log grows again
		during: func(w *world) {
			grow := w.truncate()
			w.pass(30 * time.Second)
			grow()
		},
		holds:  map[string][]string{"t/0": values("a", 0, 20)},
		backup: []string{"truncated"}, mirror: []string{"truncated"},
	},
	{
		name: "out of range above, by a leader that doesn't know its end yet",
		during: func(w *world) {
			var once atomic.Bool
			w.fetches(func(int64) (*kerr.Error, bool) { return kerr.OffsetOutOfRange, once.CompareAndSwap(false, true) })
			w.pass(10 * time.Second)
			w.produce("t", 0, 5)
		},
		holds: map[string][]string{"t/0": values("a", 0, 25)},
	},
	{
		name: "out of range below, since retention was faster",
		down: func(w *world) {
			w.produce("t", 0, 10)
			var os kadm.Offsets
			os.Add(kadm.Offset{Topic: "t", At: 25})
			if _, err := w.admin().DeleteRecords(w.Context(), os); err != nil {
				w.Fatal(err)
			}
		},
		holds:  map[string][]string{"t/0": values("a", 25, 30)},
		backup: []string{"hole"}, mirror: []string{"overtaken"}, stopped: values("a", 0, 20),
	},
	{
		name: "empty answers",
		during: func(w *world) {
			var n atomic.Int32
			testkafka.AnswerEmpty(testkafka.Kfake(w.src), 25, func(*kmsg.FetchRequest) bool { return n.Add(1) <= 5 })
			w.produce("t", 0, 5)
		},
		holds: map[string][]string{"t/0": values("a", 0, 25)},
	},
	{
		name: "a stranger",
		before: func(w *world) {
			other := testkafka.Fake(w, testkafka.Options{Brokers: 1, Network: new(kfake.VirtualNetwork)})
			testkafka.Create(w, other, 1, 1, nil, "other")
			w.both = testkafka.Share(w.src, other)
			w.opts = w.both.Opts()
		},
		during: func(w *world) {
			w.both.Turn(true)
			w.both.Cut(false)
			w.pass(2 * time.Minute)
			w.produce("t", 0, 5)
			w.both.Turn(false)
		},
		holds:  map[string][]string{"t/0": values("a", 0, 25)},
		backup: []string{"wrong_cluster"}, mirror: []string{"wrong_cluster"},
	},
}

func TestFollowing(t *testing.T) {
	for _, tt := range following {
		for name, made := range map[string]func() sink{"backup": func() sink { return &archiving{} }, "mirror": func() sink { return &mirroring{} }} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{T: t, life: "a", ends: make(map[string]int), src: testkafka.Fake(t, testkafka.Options{Brokers: 1, Network: new(kfake.VirtualNetwork)})}
					w.opts = w.src.Opts()
					w.create("t")
					w.produce("t", 0, 20)
					if tt.before != nil {
						tt.before(w)
					}
					s := made()
					s.start(w)
					w.await(s, map[string][]string{"t/0": values("a", 0, 20)}, nil)
					if tt.down != nil {
						s.stop(w)
						tt.down(w)
						s.start(w)
					}
					if tt.during != nil {
						tt.during(w)
					}
					holds, told := maps.Clone(tt.holds), map[string][]string{"backup": tt.backup, "mirror": tt.mirror}[name]
					if name == "mirror" && tt.stopped != nil {
						holds["t/0"] = tt.stopped
					}
					w.await(s, holds, told)
					w.pass(2 * time.Minute) // nothing comes behind
					w.await(s, holds, told)
					s.stop(w)
				})
			})
		}
	}
}

// await waits until a sink holds what it is to hold, and has said what it is to say.
func (w *world) await(s sink, holds map[string][]string, told []string) {
	w.Helper()
	for began := time.Now(); ; w.pass(500 * time.Millisecond) {
		got := make(map[string][]string)
		for at := range holds {
			var partition int32
			if _, err := fmt.Sscanf(at[len(at)-1:], "%d", &partition); err != nil {
				w.Fatal(err)
			}
			got[at] = s.holds(w, at[:len(at)-2], partition)
		}
		diff := cmp.Diff(holds, got) + cmp.Diff(told, s.told())
		if diff == "" {
			return
		}
		if time.Since(began) > 5*time.Minute {
			w.Fatal(diff)
		}
	}
}

// notes are the kinds of what a sink said.
type notes struct {
	mu    sync.Mutex
	kinds map[string]bool
}

func (n *notes) note(kind string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kinds == nil {
		n.kinds = make(map[string]bool)
	}
	n.kinds[kind] = true
}

func (n *notes) told() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.kinds))
}

// archiving is a Follower.
type archiving struct {
	notes
	a     *storage.Archive
	f     *backup.Follower
	ended chan error
}

func (s *archiving) start(w *world) {
	w.Helper()
	if s.a == nil {
		b := memblob.OpenBucket(nil)
		w.Cleanup(func() { _ = b.Close() })
		var err error
		if s.a, err = storage.Open(w.Context(), b, storage.Config{}); err != nil {
			w.Fatal(err)
		}
	}
	f, err := backup.NewFollower(backup.FollowerConfig{
		Config: backup.Config{Source: w.opts, Archive: s.a, Hooks: backup.Hooks{
			OnTruncated: func(*backup.TruncatedError) { s.note("truncated") },
			OnHole:      func(string, int32, storage.Hole) { s.note("hole") },
			OnIncarnation: func(t storage.Topic) {
				if !t.Deleted.IsZero() {
					s.note("deleted")
				}
			},
			OnWrongCluster: func(*backup.WrongClusterError) { s.note("wrong_cluster") },
		}},
		Flush: time.Second, Every: 10 * time.Second, Discover: time.Second,
	})
	if err != nil {
		w.Fatal(err)
	}
	s.f, s.ended = f, make(chan error, 1)
	go func() { s.ended <- f.Run(w.Context()) }()
}

func (s *archiving) stop(w *world) {
	w.Helper()
	if err := errors.Join(s.f.Stop(w.Context()), <-s.ended); err != nil {
		w.Fatal(err)
	}
}

func (s *archiving) holds(w *world, topic string, partition int32) []string {
	w.Helper()
	snapshot, err := s.a.Latest(w.Context(), nil)
	if err != nil {
		return nil
	}
	var newest storage.Topic
	for t, err := range snapshot.Topics(w.Context()) {
		if err != nil {
			w.Fatal(err)
		}
		if t.Name == topic && (newest.Name == "" || t.Deleted.IsZero()) {
			newest = t
		}
	}
	for p, err := range snapshot.Partitions(w.Context(), newest.ID) {
		if err != nil {
			w.Fatal(err)
		}
		if p.Partition.Partition == partition {
			return s.records(w, snapshot, p)
		}
	}
	return nil
}

func (s *archiving) records(w *world, snapshot *storage.Snapshot, p storage.PartitionState) (vs []string) {
	w.Helper()
	c := snapshot.Cursor(w.Context(), p.Partition, p.History, p.StartOffset, p.EndOffset, storage.CursorOptions{})
	defer c.Close()
	for {
		b, _, err := c.Next()
		if err != nil {
			return vs
		}
		rs, err := batch.Decode(b, 0)
		if err != nil {
			w.Fatal(err)
		}
		for _, r := range rs {
			vs = append(vs, string(r.Value))
		}
	}
}

// mirroring is a Mirror.
type mirroring struct {
	notes
	dst   testkafka.Cluster
	m     *mirror.Mirror
	ended chan error
}

func (s *mirroring) start(w *world) {
	w.Helper()
	if s.dst == nil {
		s.dst = testkafka.Fake(w, testkafka.Options{Brokers: 1, Network: new(kfake.VirtualNetwork)})
	}
	m, err := mirror.New(mirror.Config{Source: w.opts, Target: s.dst.Opts(), Discover: time.Second, Hooks: mirror.Hooks{OnEvent: func(ev mirror.Event) {
		if ev.Kind != mirror.Recovered {
			s.note(string(ev.Kind))
		}
	}}})
	if err != nil {
		w.Fatal(err)
	}
	s.m, s.ended = m, make(chan error, 1)
	go func() { s.ended <- m.Run(w.Context()) }()
}

func (s *mirroring) stop(w *world) {
	w.Helper()
	if err := errors.Join(s.m.Stop(w.Context()), <-s.ended); err != nil {
		w.Fatal(err)
	}
}

func (s *mirroring) holds(w *world, topic string, partition int32) (vs []string) {
	w.Helper()
	cl, err := kgo.NewClient(append(s.dst.Opts(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		w.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(w.Context(), topic)
	end, ok := ends.Lookup(topic, partition)
	if err != nil || !ok || end.Err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	for at := int64(0); at < end.Offset; { // the last offset of these logs is a record's
		fs := cl.PollFetches(ctx)
		if fs.Err() != nil {
			break
		}
		fs.EachRecord(func(r *kgo.Record) {
			vs, at = append(vs, string(r.Value)), r.Offset+1
		})
	}
	return vs
}
