package exactcopy

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// TestWithout: a target that doesn't know WriteTxnMarkers gets its holes the weaker way; one that
// doesn't know transactions either gets copies without holes, and one without DescribeProducers is
// asked for its log's tail.
func TestWithout(t *testing.T) {
	for what, c := range map[string]struct {
		keys  []kmsg.Key
		want  Method
		holes bool
	}{
		"markers":                  {[]kmsg.Key{kmsg.WriteTxnMarkers}, Transactions, true},
		"producers":                {[]kmsg.Key{kmsg.DescribeProducers}, Markers, true},
		"markers and producers":    {[]kmsg.Key{kmsg.WriteTxnMarkers, kmsg.DescribeProducers}, Transactions, true},
		"markers and transactions": {[]kmsg.Key{kmsg.WriteTxnMarkers, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn}, Transactions, false},
	} {
		t.Run(what, func(t *testing.T) {
			tg := connect(t, testkafka.Fake(t, testkafka.Without(c.keys...)), Config{Quiet: 1})
			if m, err := tg.copier.Method(t.Context()); m != c.want || err != nil {
				t.Fatalf("%q, %v, want %q", m, err, c.want)
			}
			name := tg.topic("t", 1, 1, nil)[0]
			var kinds []bool
			for range 3 {
				p := tg.opened(tg.newCopier(Config{Quiet: 1}), name)
				kinds = append(kinds, tg.appendAll(p, 2, 3)...)
				if c.holes {
					tg.must(p.Hole(t.Context(), 120)) // the tail is further back than a look at a hundred offsets
					kinds = append(kinds, make([]bool, 120)...)
				} else if err := p.Hole(t.Context(), 1); err == nil {
					t.Error("a hole was made")
				}
			}
			tg.check(name, kinds)
		})
	}
}

// TestMarkersIgnored: a target that answers markers with success and writes none is given up within
// seconds, with an error that says so and where.
func TestMarkersIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(kafka)
		tg := connect(t, kafka, Config{})
		name := tg.topic("t", 1, 1, nil)[0]
		p := tg.opened(tg.copier, name)
		p.Settled()
		kinds := tg.appendAll(p, 1, 3)
		var ignore atomic.Int32
		ignore.Store(3)
		kf.ControlKey(int16(kmsg.WriteTxnMarkers), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			if ignore.Add(-1) < 0 {
				return nil, nil, false
			}
			return testkafka.MarkersWritten(kreq.(*kmsg.WriteTxnMarkersRequest)), nil, true
		})
		tg.must(p.Hole(t.Context(), 2)) // it only was slow of understanding
		kinds = append(kinds, false, false)
		kinds = append(kinds, tg.appendAll(p, 1, 3)...)
		ignore.Store(1000)
		start := time.Now()
		err := p.Hole(t.Context(), 5)
		var at *PartitionError
		if !errors.Is(err, ErrMarkersIgnored) || errors.Is(err, ErrUndecided) || !errors.As(err, &at) || at.Topic != "t" || at.Offset != 8 {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("after %v", d)
		}
		tg.check(name, kinds)
	})
}

// TestStamped: a topic that gives records times of its own is found at the first batch, and nothing
// is written behind it. The answer to a duplicate tells the batch's own time.
func TestStamped(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	tg := connect(t, kafka, Config{JoinBelow: -1})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	var sent atomic.Int32
	kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		b, err := batch.Parse(req.Topics[0].Partitions[0].Records)
		tg.must(err)
		n := int64(sent.Add(1))
		resp := answerProduce(req, 0, 4*(n-1))
		a := &resp.Topics[0].Partitions[0]
		switch n {
		case 1:
			a.LogAppendTime = b.MaxTimestamp()
		case 3:
			a.LogAppendTime = time.Now().UnixMilli()
		}
		return resp, nil, true
	})
	for range 4 {
		if err := p.Append(t.Context(), makeBatch(t, p.Position(), 4, kgo.NoCompression())); err != nil {
			break
		}
	}
	err := p.Flush(t.Context(), false)
	var at *PartitionError
	if !errors.Is(err, ErrStamped) || errors.Is(err, ErrUndecided) || !errors.As(err, &at) || at.Topic != "t" || at.Offset != 8 {
		t.Errorf("got %v", err)
	}
	if n := sent.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestStampedReal: a topic that was made as LogAppendTime, and one that becomes it in the middle.
func TestStampedReal(t *testing.T) {
	tg := connect(t, testkafka.Real(t, testkafka.Options{}), Config{JoinBelow: -1})
	stamp := "LogAppendTime"
	p := tg.opened(tg.copier, tg.topic("before", 1, 1, map[string]*string{"message.timestamp.type": &stamp})[0])
	tg.must(p.Append(t.Context(), makeBatch(t, 0, 4, kgo.NoCompression())))
	if err := p.Flush(t.Context(), false); !errors.Is(err, ErrStamped) {
		t.Errorf("made before: %v", err)
	}
	p = tg.opened(tg.copier, tg.topic("late", 1, 1, nil)[0])
	tg.appendAll(p, 1, 4)
	tg.must(p.Flush(t.Context(), true))
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "late"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "message.timestamp.type", &stamp
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(t.Context(), tg.cluster.Client())
	tg.must(err)
	tg.must(kerr.ErrorForCode(resp.Resources[0].ErrorCode))
	await(t, func() bool { // the broker hears of it within moments
		if err = p.Append(t.Context(), makeBatch(t, p.Position(), 4, kgo.NoCompression())); err == nil {
			err = p.Flush(t.Context(), false)
		}
		return err != nil
	})
	if !errors.Is(err, ErrStamped) {
		t.Errorf("altered: %v", err)
	}
}

// TestFillSmallSegments: filler is halved where a segment, too, is shorter than it.
func TestFillSmallSegments(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.MessageTooLarge, kerr.RecordListTooLarge} {
		kafka := testkafka.Fake(t, testkafka.Options{})
		kf := testkafka.Kfake(kafka)
		tg := connect(t, kafka, Config{})
		name := tg.topic("t", 1, 1, nil)[0]
		kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			req := kreq.(*kmsg.ProduceRequest)
			if len(req.Topics[0].Partitions[0].Records) <= 100 {
				return nil, nil, false
			}
			return answerProduce(req, e.Code, -1), nil, true
		})
		p := tg.opened(tg.copier, name)
		tg.must(p.Fill(t.Context(), 1_234))
		if end, _ := tg.ends(name); end != 1_234 {
			t.Errorf("%v: the log ends at %d", e, end)
		}
	}
}
