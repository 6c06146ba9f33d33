package ledger_test

import (
	"errors"
	"fmt"
	"os"
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

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

var pool testkafka.Pool

func TestMain(m *testing.M) { os.Exit(pool.Run(m.Run)) }

type note struct {
	Offset int64  `json:"offset"`
	Text   string `json:"text,omitempty"`
}

func connect(t testing.TB, opts []kgo.Opt) *rawkafka.Cluster {
	t.Helper()
	c, err := rawkafka.Connect(t.Context(), opts, rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t testing.TB, cl testkafka.Cluster) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), connect(t, cl.Opts()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func put(t testing.TB, l *ledger.Ledger, entries map[string]any) {
	t.Helper()
	if err := l.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// all are the ledger's entries.
func all(t testing.TB, l *ledger.Ledger, prefix string) map[string]note {
	t.Helper()
	got := map[string]note{}
	last := ""
	for key, raw := range l.Each(prefix) {
		var n note
		if err := ledger.Decode(key, raw, &n); err != nil {
			t.Fatal(err)
		}
		if key <= last {
			t.Errorf("%q after %q", key, last)
		}
		got[key], last = n, key
	}
	return got
}

func want(t testing.TB, l *ledger.Ledger, prefix string, want map[string]note) {
	t.Helper()
	if diff := cmp.Diff(want, all(t, l, prefix)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// send produces a record to the ledger's topic as somebody else would.
func send(t testing.TB, cl testkafka.Cluster, rs ...*kgo.Record) {
	t.Helper()
	for _, r := range rs {
		r.Topic = ledger.Topic
	}
	if err := testkafka.Client(t, cl, kgo.AllowAutoTopicCreation()).ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func clusters(t *testing.T, f func(t *testing.T, cl testkafka.Cluster)) {
	t.Run("kfake", func(t *testing.T) { f(t, testkafka.Fake(t, testkafka.Options{Brokers: 3})) })
	t.Run("kafka", func(t *testing.T) { f(t, pool.Real(t, testkafka.Options{})) })
}

func TestPutAndGet(t *testing.T) {
	clusters(t, func(t *testing.T, cl testkafka.Cluster) {
		l, other := open(t, cl), open(t, cl)
		want(t, l, "", map[string]note{})
		if cl.Real() {
			if meta, _ := connect(t, cl.Opts()).Topics(t.Context(), ledger.Topic); meta[ledger.Topic].Err == nil {
				t.Error("opening made the topic")
			}
		}
		put(t, l, map[string]any{"copy/a/1": note{Offset: 1}, "copy/a/0": note{Offset: 0, Text: "x"}, "flow/a": struct{}{}})
		put(t, other, map[string]any{"copy/b/0": note{Offset: 5}})
		put(t, l, map[string]any{"copy/a/1": note{Offset: 2}, "copy/a/0": nil, "gone": nil})
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, l := range []*ledger.Ledger{l, other, open(t, cl)} {
			want(t, l, "copy/", map[string]note{"copy/a/1": {Offset: 2}, "copy/b/0": {Offset: 5}})
			want(t, l, "flow/", map[string]note{"flow/a": {}})
			var n note
			if ok, err := l.Get("copy/a/1", &n); err != nil || !ok || n.Offset != 2 {
				t.Error(ok, err, n)
			}
			if ok, err := l.Get("copy/a/0", &n); err != nil || ok {
				t.Error(ok, err)
			}
		}
	})
}

// What a Put has written isn't read, unless somebody else has written before it.
func TestPutReadsOthersAlone(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	l, other := open(t, cl), open(t, cl)
	put(t, l, map[string]any{"a": note{Offset: 1}})
	var read atomic.Int64
	testkafka.Kfake(cl).ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		testkafka.Kfake(cl).KeepControl()
		read.Add(1)
		return nil, nil, false
	})
	put(t, l, map[string]any{"b": note{Offset: 2}, "c": note{Offset: 3}})
	put(t, l, map[string]any{"a": nil})
	want(t, l, "", map[string]note{"b": {Offset: 2}, "c": {Offset: 3}})
	if n := read.Load(); n > 0 {
		t.Errorf("it was read %d times", n)
	}
	put(t, other, map[string]any{"d": note{Offset: 4}})
	put(t, l, map[string]any{"b": nil})
	for _, l := range []*ledger.Ledger{l, open(t, cl)} {
		want(t, l, "", map[string]note{"c": {Offset: 3}, "d": {Offset: 4}})
	}
	if read.Load() == 0 {
		t.Error("what another has written wasn't read")
	}
}

// Many entries, and long ones, go in several batches.
func TestLarge(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	l := open(t, cl)
	entries, expect := map[string]any{}, map[string]note{}
	for i := range 12 {
		n := note{Offset: int64(i), Text: strings.Repeat("x", 600_000)}
		entries[fmt.Sprintf("map/%d", i)], expect[fmt.Sprintf("map/%d", i)] = n, n
	}
	for i := range 5000 {
		n := note{Offset: int64(i)}
		entries[fmt.Sprintf("small/%d", i)], expect[fmt.Sprintf("small/%d", i)] = n, n
	}
	put(t, l, entries)
	want(t, l, "", expect)
	want(t, open(t, cl), "", expect)
}

// Those who write at once make one topic, and none loses an entry.
func TestWritersAtOnce(t *testing.T) {
	clusters(t, func(t *testing.T, cl testkafka.Cluster) {
		var wg sync.WaitGroup
		expect := map[string]note{"both": {}}
		for w := range 4 {
			l := open(t, cl)
			for i := range 20 {
				expect[fmt.Sprintf("at-once/%d/%d", w, i)] = note{Offset: int64(i)}
			}
			wg.Go(func() {
				for i := range 20 {
					if err := l.Put(t.Context(), map[string]any{fmt.Sprintf("at-once/%d/%d", w, i): note{Offset: int64(i)}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		delete(expect, "both")
		want(t, open(t, cl), "at-once/", expect)
	})
}

// An answer that gets lost, whether or not the request did, neither fails a Put nor writes an older
// entry over a newer one.
func TestLostAnswers(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.CreateTopics, kmsg.InitProducerID, kmsg.Fetch, kmsg.ListOffsets} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s-%v", key.Name(), before), func(t *testing.T) {
				cl := testkafka.Fake(t, testkafka.Options{})
				k, n := testkafka.Kfake(cl), 0
				l, other := open(t, cl), open(t, cl)
				k.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
					k.KeepControl()
					if n++; n%3 == 1 {
						return nil, errors.New("cut off"), before
					}
					return nil, nil, false
				})
				for i := range int64(5) {
					put(t, other, map[string]any{"k": note{Offset: -1}}) // so that there is something to be read
					put(t, l, map[string]any{"k": note{Offset: i}, fmt.Sprintf("k%d", i): note{Offset: i}})
				}
				if n == 0 {
					t.Fatal("no such request")
				}
				expect := map[string]note{"k": {Offset: 4}}
				for i := range int64(5) {
					expect[fmt.Sprintf("k%d", i)] = note{Offset: i}
				}
				want(t, open(t, cl), "", expect)
			})
		}
	}
}

// What others put into the topic is refused where it is used, or isn't an entry at all.
func TestHostileEntries(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	l := open(t, cl)
	put(t, l, map[string]any{"good": note{Offset: 1}})
	rec := func(key, value string) *kgo.Record { return &kgo.Record{Key: []byte(key), Value: []byte(value)} }
	send(t, cl,
		rec("later", `{"v":2,"offset":7}`), rec("broken", `{"v":1,`), rec("kind", `{"v":1,"offset":"x"}`), rec("unknown", `{"v":1,"offset":3,"more":[1]}`),
		&kgo.Record{Value: []byte("no key")}, rec(string([]byte{0xff}), "{}"), rec(strings.Repeat("k", ledger.MaxKey+1), "{}"),
	)
	tx := testkafka.Client(t, cl, kgo.TransactionalID("t"))
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	r := rec("good", `{"v":1,"offset":9}`)
	r.Topic = ledger.Topic
	if err := tx.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	l = open(t, cl)
	if n := len(maps(l)); n != 5 {
		t.Errorf("%d entries, want 5: %v", n, maps(l))
	}
	var n note
	if ok, err := l.Get("good", &n); !ok || err != nil || n.Offset != 1 {
		t.Error(ok, err, n)
	}
	if ok, err := l.Get("unknown", &n); !ok || err != nil || n.Offset != 3 {
		t.Error(ok, err, n)
	}
	var version *ledger.VersionError
	if _, err := l.Get("later", &n); !errors.As(err, &version) || version.Version != 2 {
		t.Errorf("later: %v", err)
	}
	for _, key := range []string{"broken", "kind"} {
		var bad *ledger.EntryError
		if _, err := l.Get(key, &n); !errors.As(err, &bad) || bad.Offset < 1 {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := tx.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

func maps(l *ledger.Ledger) map[string]string {
	got := map[string]string{}
	for k, v := range l.Each("") {
		got[k] = string(v)
	}
	return got
}

// Entries that can't be written are all named, and nothing is written.
func TestBadEntries(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	l := open(t, cl)
	err := l.Put(t.Context(), map[string]any{
		"": note{}, "list": []int{1}, "long": note{Text: strings.Repeat("x", ledger.MaxValue)}, "func": func() {}, "good": note{},
	})
	var bad *ledger.EntryError
	if !errors.As(err, &bad) || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v", err)
	}
	if got := maps(open(t, cl)); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
}

// A topic that was deleted, and perhaps made anew, is read and written anew.
func TestTopicMadeAnew(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	l, other := open(t, cl), open(t, cl)
	put(t, l, map[string]any{"a": note{Offset: 1}})
	put(t, other, map[string]any{"b": note{Offset: 1}})
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).DeleteTopic(t.Context(), ledger.Topic); err != nil {
		t.Fatal(err)
	}
	put(t, l, map[string]any{"c": note{Offset: 2}})
	put(t, other, map[string]any{"d": note{Offset: 3}})
	for _, l := range []*ledger.Ledger{other, open(t, cl)} {
		want(t, l, "", map[string]note{"c": {Offset: 2}, "d": {Offset: 3}})
	}
}

// A topic that somebody made with the broker's default policy would lose entries.
func TestPolicy(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 1, 1, nil, ledger.Topic); err != nil {
		t.Fatal(err)
	}
	var bad *ledger.TopicError
	if err := open(t, cl).Put(t.Context(), map[string]any{"a": note{}}); !errors.As(err, &bad) {
		t.Errorf("got %v, want a TopicError", err)
	}
}

// Missing rights are named, by what they were needed for.
func TestDenied(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	put(t, open(t, cl), map[string]any{"a": note{}})
	cl.CreateUser(t, "user", "secret")
	user := connect(t, cl.UserOpts("user", "secret"))
	var denied *ledger.DeniedError
	if _, err := ledger.Open(t.Context(), user); !errors.As(err, &denied) || denied.Op != "read" {
		t.Errorf("open: %v", err)
	}
	testkafka.Allow(t, cl, "user", kadm.NewACLs().Topics(ledger.Topic).Operations(kadm.OpRead, kadm.OpDescribe))
	l, err := ledger.Open(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Put(t.Context(), map[string]any{"a": note{}}); !errors.As(err, &denied) || denied.Op != "write" {
		t.Errorf("put: %v", err)
	}
}

// A broker answers a fetch that exceeds a quota without the partition; that passes.
func TestThrottled(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	put(t, open(t, cl), map[string]any{"a": note{Offset: 1}})
	k, n := testkafka.Kfake(cl), 0
	k.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if n++; n < 3 {
			return req.ResponseKind(), nil, true
		}
		return nil, nil, false
	})
	want(t, open(t, cl), "", map[string]note{"a": {Offset: 1}})
	if n < 3 {
		t.Errorf("%d fetches", n)
	}
}

// TestPutEnds: a leader that says that it has forgotten the producer, each time anew, is given up
// after a while.
func TestPutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(cl)
		kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			req := kreq.(*kmsg.ProduceRequest)
			resp := req.ResponseKind().(*kmsg.ProduceResponse)
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.ErrorCode = kerr.OutOfOrderSequenceNumber.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		begun := time.Now()
		err := open(t, cl).Put(t.Context(), map[string]any{"a": note{Offset: 1}})
		if took := time.Since(begun); !errors.Is(err, kerr.OutOfOrderSequenceNumber) || took > 2*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// TestRefreshEmpty: entries are there though their leader has nothing to give for a while. It is
// believed where the cleaner may have taken them, after seconds.
func TestRefreshEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net kfake.VirtualNetwork
		cl := testkafka.Fake(t, testkafka.Options{Brokers: 1, Network: &net})
		put(t, open(t, cl), map[string]any{"copy/a/0": note{Offset: 1}})
		put(t, open(t, cl), map[string]any{"copy/b/0": note{Offset: 2}})
		k := testkafka.Kfake(cl)
		left := 3
		testkafka.AnswerEmpty(k, 2, func(*kmsg.FetchRequest) bool { left--; return left >= 0 })
		want(t, open(t, cl), "", map[string]note{"copy/a/0": {Offset: 1}, "copy/b/0": {Offset: 2}})
		if left >= 0 {
			t.Error("no answer was empty")
		}

		testkafka.AnswerEmpty(k, 2, func(req *kmsg.FetchRequest) bool { return req.Topics[0].Partitions[0].FetchOffset == 0 })
		began := time.Now()
		want(t, open(t, cl), "", map[string]note{})
		if took := time.Since(began); took < 3*time.Second || took > 10*time.Second {
			t.Errorf("believed after %s", took)
		}
	})
}
