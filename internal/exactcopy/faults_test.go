package exactcopy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pool has the real clusters that tests share, each with topics of its own.
var pool testkafka.Pool

func TestMain(m *testing.M) {
	if child() {
		return
	}
	code := pool.Run(m.Run)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// answerProduce makes a produce answer with one code for all partitions.
func answerProduce(req *kmsg.ProduceRequest, code int16, base int64) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, code, base
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// script answers the n-th produce request (from 1) once.
func script(kf *kfake.Cluster, n int32, answer func(*kmsg.ProduceRequest) (kmsg.Response, error)) {
	var seen atomic.Int32
	kf.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		if seen.Add(1) != n {
			return nil, nil, false
		}
		resp, err := answer(req.(*kmsg.ProduceRequest))
		return resp, err, true
	})
}

// TestNotAppended: what decisively wasn't appended is sent again, and arrives once.
func TestNotAppended(t *testing.T) {
	for _, e := range []*kerr.Error{
		kerr.UnknownTopicOrPartition, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.UnknownTopicID, kerr.KafkaStorageError, kerr.UnknownServerError,
	} {
		t.Run(e.Message, func(t *testing.T) {
			kafka := testkafka.Fake(t, testkafka.Options{})
			tg := connect(t, kafka, Config{})
			name := tg.topic("t", 1, 1, nil)[0]
			script(testkafka.Kfake(kafka), 2, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
				return answerProduce(req, e.Code, -1), nil
			})
			p := tg.opened(tg.copier, name)
			kinds := tg.appendAll(p, 5, 10)
			tg.must(p.Flush(t.Context(), true))
			tg.check(name, kinds)
		})
	}
}

// appendAll appends batches of n records.
func (t *target) appendAll(p *Partition, batches, n int) (kinds []bool) {
	t.Helper()
	for range batches {
		t.must(p.Append(t.Context(), makeBatch(t, p.Position(), n, kgo.NoCompression())))
		for range n {
			kinds = append(kinds, true)
		}
	}
	return kinds
}

// TestElsewhere: answers that say that somebody else was here end the partition; opened again, it
// goes on at the true end.
func TestElsewhere(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.InvalidProducerEpoch, kerr.ProducerFenced} {
		t.Run(e.Message, func(t *testing.T) {
			kafka := testkafka.Fake(t, testkafka.Options{})
			tg := connect(t, kafka, Config{})
			name := tg.topic("t", 1, 1, nil)[0]
			script(testkafka.Kfake(kafka), 2, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
				return answerProduce(req, e.Code, -1), nil
			})
			p := tg.opened(tg.copier, name)
			tg.appendAll(p, 1, 10)
			tg.must(p.Flush(t.Context(), false))
			tg.must(p.Append(t.Context(), makeBatch(t, 10, 10, kgo.NoCompression())))
			err := p.Flush(t.Context(), false)
			if !errors.Is(err, ErrUndecided) || !errors.Is(err, e) {
				t.Fatalf("got %v", err)
			}
			p = tg.opened(tg.copier, name)
			if p.Position() != 10 {
				t.Fatalf("position %d, want 10", p.Position())
			}
			tg.appendAll(p, 1, 10)
			tg.must(p.Flush(t.Context(), true))
			tg.check(name, trues(20))
		})
	}
}

func trues(n int) []bool {
	kinds := make([]bool, n)
	for i := range kinds {
		kinds[i] = true
	}
	return kinds
}

// TestRefused: errors that don't pass come through, with their place.
func TestRefused(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.MessageTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.TopicAuthorizationFailed} {
		kafka := testkafka.Fake(t, testkafka.Options{})
		tg := connect(t, kafka, Config{})
		p := tg.opened(tg.copier, tg.topic("t", 1, 1, nil)[0])
		script(testkafka.Kfake(kafka), 1, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
			return answerProduce(req, e.Code, -1), nil
		})
		tg.appendAll(p, 1, 10)
		err := p.Flush(t.Context(), false)
		var at *PartitionError
		if !errors.Is(err, e) || errors.Is(err, ErrUndecided) || !errors.As(err, &at) || at.Topic != "t" || at.Offset != 0 {
			t.Errorf("got %v", err)
		}
	}
}

// TestShifted: a base offset other than the expected one ends the partition.
func TestShifted(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	cl := testkafka.Client(t, kafka)
	tg.must(cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("foreign")}).FirstErr())
	tg.must(p.Append(t.Context(), makeBatch(t, 0, 3, kgo.NoCompression())))
	err := p.Flush(t.Context(), false)
	var s *ShiftedError
	if !errors.As(err, &s) || *s != (ShiftedError{"t", 0, 0, 1}) || !errors.Is(err, ErrShifted) {
		t.Fatalf("got %v", err)
	}
	if err := p.Append(t.Context(), makeBatch(t, p.Position(), 3, kgo.NoCompression())); !errors.Is(err, ErrShifted) {
		t.Fatalf("afterwards: %v", err)
	}
}

// TestShiftedHole: one control record too many is found before the data behind it.
func TestShiftedHole(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	tg.appendAll(p, 1, 5)
	tg.must(p.Flush(t.Context(), false))
	other := connect(t, kafka, Config{TransactionalID: "other", Quiet: 1})
	tg.must(other.opened(other.copier, name).Hole(t.Context(), 1))
	err := p.Hole(t.Context(), 2)
	var s *ShiftedError
	if !errors.As(err, &s) || *s != (ShiftedError{"t", 0, 7, 8}) {
		t.Fatalf("got %v", err)
	}
}

// TestAppendedLate: 7 and 20 are not sent again; durable waits for the high watermark.
func TestAppendedLate(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend} {
		kafka := testkafka.Fake(t, testkafka.Options{})
		kf := testkafka.Kfake(kafka)
		tg := connect(t, kafka, Config{})
		name := tg.topic("t", 1, 1, nil)[0]
		p := tg.opened(tg.copier, name)
		var requests atomic.Int32
		script(kf, 1, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
			return answerProduce(req, e.Code, 0), nil // kfake hasn't appended it: if it were sent again, we'd see it
		})
		kf.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			requests.Add(1)
			return nil, nil, false
		})
		var asked atomic.Int32
		var there atomic.Bool // on all replicas
		kf.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			asked.Add(1)
			req := kreq.(*kmsg.ListOffsetsRequest)
			resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			rt := kmsg.NewListOffsetsResponseTopic()
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			if rt.Topic = "t"; req.ReplicaID == rawkafka.Debug || there.Load() {
				rp.Offset = 10
			} else {
				rp.Offset = 3
			}
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		tg.appendAll(p, 1, 10)
		tg.must(p.Flush(t.Context(), false))
		if requests.Load() != 0 || p.Position() != 10 {
			t.Errorf("%v: sent again", e)
		}
		before := asked.Load()
		done := make(chan error)
		go func() { done <- p.Flush(t.Context(), true) }()
		await(t, func() bool { return asked.Load() > before+2 })
		select {
		case err := <-done:
			t.Fatalf("durable too early: %v", err)
		default:
		}
		there.Store(true)
		tg.must(<-done)
	}
}

// TestWentBack: a log that lost its end, as one whose leader was cut off does, is opened again, and
// no marker is written in the wrong place.
func TestWentBack(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 1, 10)
	tg.must(p.Flush(t.Context(), true))
	script(testkafka.Kfake(kafka), 1, func(req *kmsg.ProduceRequest) (kmsg.Response, error) {
		return answerProduce(req, kerr.RequestTimedOut.Code, 10), nil // and lost
	})
	tg.must(p.Append(t.Context(), makeBatch(t, 10, 5, kgo.NoCompression())))
	if err := p.Hole(t.Context(), 1); !errors.Is(err, ErrUndecided) {
		t.Fatalf("got %v", err)
	}
	tg.check(name, kinds)
}

// await polls a condition.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// cutter cuts connections around requests of one kind: before the broker has seen one, or before
// the client has seen its answer.
type cutter struct {
	key   kmsg.Key
	every int32 // of so many requests, the first
	seen  atomic.Int32
	after bool
}

func (c *cutter) opt() kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &cutConn{Conn: conn, c: c}, err
	})
}

type cutConn struct {
	net.Conn
	c     *cutter
	asked atomic.Int32 // requests
	cut   atomic.Int32 // the request whose answer is lost, counted from 1; 0: none

	// Read's alone:
	answered int32 // answers that have begun
	left     int   // bytes of the answer that is being read
	size     []byte
}

func (c *cutConn) Write(p []byte) (int, error) {
	n := c.asked.Add(1)
	if len(p) > 6 && kmsg.Key(binary.BigEndian.Uint16(p[4:])) == c.c.key && c.c.seen.Add(1)%c.c.every == 1 {
		if !c.c.after {
			c.Close()
			return 0, net.ErrClosed
		}
		c.cut.CompareAndSwap(0, n)
	}
	return c.Conn.Write(p)
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.count(p[:n])
	if cut := c.cut.Load(); cut > 0 && c.answered >= cut { // it has answered: the effect is there
		c.Close()
		return 0, io.EOF
	}
	return n, err
}

// count follows the answers' length prefixes: what is read may be the answer to an earlier request.
func (c *cutConn) count(p []byte) {
	for len(p) > 0 {
		if c.left > 0 {
			n := min(c.left, len(p))
			c.left, p = c.left-n, p[n:]
			continue
		}
		n := min(4-len(c.size), len(p))
		c.size, p = append(c.size, p[:n]...), p[n:]
		if len(c.size) == 4 {
			c.left, c.size = int(binary.BigEndian.Uint32(c.size)), c.size[:0]
			c.answered++
		}
	}
}

// TestBroken cuts every second or third request before or after its effect. Data is sent again with
// the same sequence, markers are counted by the true end and only what is missing is written.
func TestBroken(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		for _, key := range []kmsg.Key{kmsg.Produce, kmsg.WriteTxnMarkers, kmsg.ListOffsets} {
			for _, after := range []bool{false, true} {
				c := &cutter{key: key, every: 2, after: after}
				if key == kmsg.WriteTxnMarkers {
					c.seen.Store(1) // the probe isn't cut
				}
				tg := connect(t, kafka, Config{Quiet: 50 * time.Millisecond, JoinBelow: -1}, c.opt())
				name := tg.topic(fmt.Sprintf("t-%v-%v", key.Name(), after), 1, 1, nil)[0]
				p := tg.opened(tg.copier, name)
				var kinds []bool
				for i := range 6 {
					kinds = append(kinds, tg.appendAll(p, 3, 4)...)
					tg.must(p.Hole(t.Context(), int64(1+i)))
					kinds = append(kinds, make([]bool, 1+i)...)
				}
				tg.must(p.Flush(t.Context(), true))
				tg.check(name, kinds)
			}
		}
	})
}

// TestMovedLeader: a leader that moves in the middle is followed.
func TestMovedLeader(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	tg := connect(t, kafka, Config{Quiet: 10 * time.Millisecond})
	name := tg.topic("t", 1, 3, nil)[0]
	p := tg.opened(tg.copier, name)
	var kinds []bool
	for i := range 12 {
		kafka.MoveLeader(t, "t", 0, int32(i%3))
		kinds = append(kinds, tg.appendAll(p, 3, 7)...)
		if i%2 == 0 {
			tg.must(p.Hole(t.Context(), 4))
			kinds = append(kinds, false, false, false, false)
		}
	}
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}

// TestGone: a leader that stays away ends the partition with ErrUndecided, and Close and the
// copier's end come at once.
func TestGone(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{RetryFor: 200 * time.Millisecond})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kafka.Stop(t, kafka.Brokers()[0])
	tg.appendAll(p, 1, 10)
	if err := p.Flush(t.Context(), false); !errors.Is(err, ErrUndecided) {
		t.Fatalf("got %v", err)
	}
	p.Close()
	start := time.Now()
	tg.copier.Close()
	if time.Since(start) > time.Second {
		t.Errorf("Close took %v", time.Since(start))
	}
}

// TestSendable: what can't be sent as it is, is refused before anything is sent.
func TestSendable(t *testing.T) {
	tg := connect(t, testkafka.Fake(t, testkafka.Options{}), Config{})
	p := tg.opened(tg.copier, tg.topic("t", 1, 1, nil)[0])
	if err := p.Append(t.Context(), makeBatch(t, 5, 1, kgo.NoCompression())); err == nil {
		t.Error("a wrong base offset was taken")
	}
	tg.must(p.Flush(t.Context(), false))
	tg.appendAll(p, 1, 1)
	tg.must(p.Flush(t.Context(), true))
}

// TestEnd: when the copier's context ends, everything returns within a second, with the context's
// cause.
func TestEnd(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	tg := connect(t, kafka, Config{})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := New(ctx, Config{Cluster: tg.cluster, TransactionalID: "end"})
	tg.must(err)
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(c, name)
	kafka.Pause(t, kafka.Brokers()[0])
	defer kafka.Resume(t, kafka.Brokers()[0])
	tg.appendAll(p, 1, 10)
	done := make(chan error)
	go func() { done <- p.Flush(t.Context(), false) }()
	start := time.Now()
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	p.Close()
	c.Close()
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
	if _, err := c.Open(t.Context(), name); err == nil {
		t.Error("a closed copier opens a partition")
	}
}

// TestConfig: what is missing is said.
func TestConfig(t *testing.T) {
	if _, err := New(t.Context(), Config{}); err == nil {
		t.Error("an empty Config was taken")
	}
}
