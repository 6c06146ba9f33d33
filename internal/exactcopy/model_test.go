package exactcopy

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// modelLog answers for one partition in kfake's place: kfake's leaders never forget a producer,
// replicate at once, and don't refuse markers. It does what Kafka's do: it remembers producers by
// id, takes a batch by its epoch and sequence, forgets a producer whose last append is old data,
// appends what isn't on all replicas yet, and is replaced by a leader that lacks that. What goes
// wrong is drawn by chance.
//
// What the design leaves over is left out: a dead process's data doesn't land where the leader has
// forgotten its producer.
type modelLog struct {
	t    testing.TB
	kf   *kfake.Cluster
	name rawkafka.Partition
	wg   sync.WaitGroup // of late requests and moves

	moving sync.Mutex // before mu

	mu        sync.Mutex
	leader    int32
	rnd       *rand.Rand
	faults    int // left
	requests  int
	round     context.CancelFunc // ends what goes round without end
	log       []modelBatch
	watermark int64
	memory    map[int64]*modelProducer
	silent    bool // doesn't know DescribeProducers
	deposed   *modelDeposed
}

type modelBatch struct {
	base, end int64
	pid       int64
	epoch     int16
	first     int32 // sequence, -1 for a marker
	raw       []byte
}

func (b modelBatch) last() int32 {
	if b.first < 0 {
		return -1
	}
	return after(b.first, b.end-b.base-1)
}

// modelProducer is what a leader remembers of a producer id: its epoch, and its last five batches
// of it.
type modelProducer struct {
	epoch  int16
	recent []modelBatch
	marker bool // its last append
}

func (p *modelProducer) last() int32 {
	if len(p.recent) == 0 {
		return -1
	}
	return p.recent[len(p.recent)-1].last()
}

// modelDeposed is a leader that was replaced and doesn't know yet: it goes on answering for a
// moment.
type modelDeposed struct {
	node           int32
	until          time.Time
	end, watermark int64
}

func newModel(t testing.TB, kf *kfake.Cluster, name rawkafka.Partition, rnd *rand.Rand, faults int, round context.CancelFunc) *modelLog {
	m := &modelLog{t: t, kf: kf, name: name, leader: kf.LeaderFor(name.Topic, name.Partition), rnd: rnd, faults: faults, round: round, memory: make(map[int64]*modelProducer), silent: rnd.IntN(4) == 0}
	for key, answer := range map[kmsg.Key]func(int32, kmsg.Request) (kmsg.Response, error){
		kmsg.Produce: m.produce, kmsg.WriteTxnMarkers: m.markers, kmsg.ListOffsets: m.listOffsets, kmsg.Fetch: m.fetch, kmsg.DescribeProducers: m.producers,
	} {
		kf.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.requests++; m.requests > modelRequests {
				m.round()
				return nil, errModelCut, true
			}
			m.happens()
			resp, err := answer(kf.CurrentNode(), req)
			return resp, err, true
		})
	}
	return m
}

// modelRequests is more than any schedule needs that comes to an end.
const modelRequests = 20_000

var errModelCut = errors.New("the connection is cut")

// chance is true once in n times, while there are faults left.
func (m *modelLog) chance(n int) bool {
	if m.faults <= 0 || m.rnd.IntN(n) > 0 {
		return false
	}
	m.faults--
	return true
}

// happens lets happen what no request is needed for.
func (m *modelLog) happens() {
	if m.rnd.IntN(3) == 0 {
		m.watermark = m.end() // the followers have come by
	}
	if m.chance(8) {
		m.forget()
	}
	if m.chance(25) {
		m.elect()
	}
}

func (m *modelLog) end() int64 {
	if len(m.log) == 0 {
		return 0
	}
	return m.log[len(m.log)-1].end
}

// forget drops the producers whose last append is data: all data is old.
func (m *modelLog) forget() {
	for pid, p := range m.memory {
		if !p.marker {
			delete(m.memory, pid)
		}
	}
}

// elect makes another broker the leader. It may lack what wasn't on all replicas, and knows
// producers from its own log.
func (m *modelLog) elect() {
	m.deposed = &modelDeposed{m.leader, time.Now().Add(time.Duration(m.rnd.IntN(2000)) * time.Millisecond), m.end(), m.watermark}
	keep := m.watermark
	if m.rnd.IntN(2) == 0 {
		keep = m.end()
	}
	m.log = slices.DeleteFunc(m.log, func(b modelBatch) bool { return b.base >= keep })
	known := m.memory
	m.memory = make(map[int64]*modelProducer)
	for _, b := range m.log {
		if known[b.pid] != nil {
			m.remember(b)
		}
	}
	m.watermark = min(m.watermark, m.end())
	m.leader = (m.leader + 1 + int32(m.rnd.IntN(2))) % 3
	m.wg.Go(func() { // kfake is asked from outside of its requests, the last leader last
		m.moving.Lock()
		defer m.moving.Unlock()
		m.mu.Lock()
		leader := m.leader
		m.mu.Unlock()
		if err := m.kf.MoveTopicPartition(m.name.Topic, m.name.Partition, leader); err != nil {
			m.t.Error(err)
		}
	})
}

func (m *modelLog) remember(b modelBatch) {
	p := m.memory[b.pid]
	if p == nil {
		p = &modelProducer{epoch: b.epoch}
		m.memory[b.pid] = p
	}
	if p.marker = b.first < 0; p.marker || b.epoch != p.epoch {
		p.recent = nil
	}
	p.epoch = b.epoch
	if !p.marker {
		p.recent = append(p.recent, b)
		p.recent = p.recent[max(0, len(p.recent)-5):]
	}
}

// take appends a batch, if Kafka would, and says at which offset it is.
func (m *modelLog) take(b modelBatch) (base int64, err *kerr.Error) {
	p := m.memory[b.pid]
	if p != nil && b.epoch < p.epoch {
		return -1, kerr.InvalidProducerEpoch
	}
	if p != nil && b.first >= 0 {
		next := int32(0)
		if b.epoch == p.epoch {
			for _, r := range p.recent {
				if r.first == b.first && r.last() == b.last() {
					return r.base, nil
				}
			}
			next = after(p.last(), 1)
		}
		if b.first != next {
			return -1, kerr.OutOfOrderSequenceNumber
		}
	}
	b.end += m.end() - b.base
	b.base = m.end()
	binary.BigEndian.PutUint64(b.raw, uint64(b.base))
	m.log = append(m.log, b)
	m.remember(b)
	return b.base, nil
}

// late lets something land some time after its connection is gone.
func (m *modelLog) late(longest time.Duration, land func()) {
	d := time.Duration(m.rnd.Int64N(int64(longest)))
	m.wg.Go(func() {
		_ = rawkafka.Sleep(context.Background(), d)
		m.mu.Lock()
		defer m.mu.Unlock()
		land()
	})
}

// holds says whether the log has batches of a producer id.
func (m *modelLog) holds(pid int64) bool {
	return slices.ContainsFunc(m.log, func(b modelBatch) bool { return b.pid == pid })
}

func (m *modelLog) leads(node int32) bool { return m.leader == node }

func (m *modelLog) produce(node int32, kreq kmsg.Request) (kmsg.Response, error) {
	req := kreq.(*kmsg.ProduceRequest)
	raw := slices.Clone(req.Topics[0].Partitions[0].Records)
	in, err := batch.Parse(raw)
	if err != nil {
		m.t.Error(err)
		return nil, err
	}
	b := modelBatch{0, in.EndOffset() - in.BaseOffset(), in.ProducerID(), in.ProducerEpoch(), in.BaseSequence(), raw}
	switch {
	case !m.leads(node):
		base := int64(-1)
		if m.rnd.IntN(2) == 0 { // it has appended what will be cut away
			base = m.end()
		}
		return answerProduce(req, kerr.NotLeaderForPartition.Code, base), nil
	case m.chance(10):
		return nil, errModelCut
	case m.chance(10):
		m.late(25*time.Second, func() {
			if m.memory[b.pid] != nil || !m.holds(b.pid) {
				_, _ = m.take(b)
			}
		})
		return nil, errModelCut
	case m.chance(20):
		return answerProduce(req, kerr.NotEnoughReplicas.Code, -1), nil
	}
	base, refused := m.take(b)
	switch {
	case refused != nil:
		return answerProduce(req, refused.Code, -1), nil
	case m.chance(10):
		return nil, errModelCut
	case m.chance(10): // replaced while it waited for its followers
		m.elect()
		return answerProduce(req, kerr.NotLeaderForPartition.Code, m.rnd.Int64N(2)*(base+1)-1), nil
	case m.chance(10):
		return answerProduce(req, []int16{kerr.RequestTimedOut.Code, kerr.NotEnoughReplicasAfterAppend.Code}[m.rnd.IntN(2)], base), nil
	}
	m.watermark = m.end()
	return answerProduce(req, 0, base), nil
}

func (m *modelLog) markers(node int32, kreq kmsg.Request) (kmsg.Response, error) {
	req := kreq.(*kmsg.WriteTxnMarkersRequest)
	if req.Markers[0].Topics[0].Topic != m.name.Topic {
		return answerMarkers(req, kerr.UnknownTopicOrPartition.Code), nil
	}
	land := func() (code int16) {
		for _, r := range req.Markers {
			if _, err := m.take(modelBatch{0, 1, r.ProducerID, r.ProducerEpoch, -1, modelMarker(r.ProducerID, r.ProducerEpoch)}); err != nil {
				code = err.Code
			}
		}
		return code
	}
	switch {
	case !m.leads(node):
		return answerMarkers(req, kerr.NotLeaderForPartition.Code), nil
	case m.chance(8):
		return nil, errModelCut
	case m.chance(8): // sooner than who opens the partition next makes a hole
		m.late(4*time.Second, func() { land() })
		return nil, errModelCut
	}
	code := land()
	switch {
	case code != 0:
	case m.chance(8):
		return nil, errModelCut
	case m.chance(8):
		m.elect()
		code = kerr.NotLeaderForPartition.Code
	case m.chance(8):
		code = kerr.RequestTimedOut.Code
	default:
		m.watermark = m.end()
	}
	return answerMarkers(req, code), nil
}

func answerMarkers(req *kmsg.WriteTxnMarkersRequest, code int16) *kmsg.WriteTxnMarkersResponse {
	resp := testkafka.MarkersWritten(req)
	for _, m := range resp.Markers {
		for _, t := range m.Topics {
			for i := range t.Partitions {
				t.Partitions[i].ErrorCode = code
			}
		}
	}
	return resp
}

// modelMarker is a commit marker as a log holds it.
func modelMarker(pid int64, epoch int16) []byte {
	key, value := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeCommit}, kmsg.EndTxnMarker{}
	r := kmsg.Record{Key: key.AppendTo(nil), Value: value.AppendTo(nil)}
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	b := kmsg.RecordBatch{Magic: 2, Attributes: 0x30, ProducerID: pid, ProducerEpoch: epoch, FirstSequence: -1, NumRecords: 1, Records: r.AppendTo(nil)}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func (m *modelLog) listOffsets(node int32, kreq kmsg.Request) (kmsg.Response, error) {
	req := kreq.(*kmsg.ListOffsetsRequest)
	end, watermark, code := m.end(), m.watermark, int16(0)
	switch d := m.deposed; {
	case m.leads(node):
	case d != nil && d.node == node && time.Now().Before(d.until):
		end, watermark = d.end, d.watermark
	default:
		code = kerr.NotLeaderForPartition.Code
	}
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	rt, rp := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
	rt.Topic, rp.Partition, rp.ErrorCode = m.name.Topic, m.name.Partition, code
	switch {
	case code != 0:
	case req.Topics[0].Partitions[0].Timestamp == rawkafka.Earliest:
		rp.Offset = 0
	case req.ReplicaID == rawkafka.Debug:
		rp.Offset = end
	default:
		rp.Offset = watermark
	}
	rt.Partitions = append(rt.Partitions, rp)
	resp.Topics = append(resp.Topics, rt)
	return resp, nil
}

func (m *modelLog) fetch(node int32, kreq kmsg.Request) (kmsg.Response, error) {
	req := kreq.(*kmsg.FetchRequest)
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	rt, rp := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	rt.Topic, rt.TopicID, rp.Partition, rp.HighWatermark = m.name.Topic, m.name.TopicID, m.name.Partition, m.watermark
	from := req.Topics[0].Partitions[0].FetchOffset
	switch {
	case !m.leads(node):
		rp.ErrorCode = kerr.NotLeaderForPartition.Code
	case from > m.end():
		rp.ErrorCode = kerr.OffsetOutOfRange.Code
	}
	for _, b := range m.log {
		if rp.ErrorCode == 0 && b.end > from && b.end <= m.watermark {
			rp.RecordBatches = append(rp.RecordBatches, b.raw...)
		}
	}
	rt.Partitions = append(rt.Partitions, rp)
	resp.Topics = append(resp.Topics, rt)
	return resp, nil
}

func (m *modelLog) producers(node int32, kreq kmsg.Request) (kmsg.Response, error) {
	resp := kreq.ResponseKind().(*kmsg.DescribeProducersResponse)
	rt, rp := kmsg.NewDescribeProducersResponseTopic(), kmsg.NewDescribeProducersResponseTopicPartition()
	rt.Topic, rp.Partition = m.name.Topic, m.name.Partition
	switch {
	case m.silent:
		rp.ErrorCode = kerr.UnsupportedVersion.Code
	case !m.leads(node):
		rp.ErrorCode = kerr.NotLeaderForPartition.Code
	}
	for pid, p := range m.memory {
		if rp.ErrorCode == 0 {
			ap := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
			ap.ProducerID, ap.ProducerEpoch, ap.LastSequence = pid, int32(p.epoch), p.last()
			rp.ActiveProducers = append(rp.ActiveProducers, ap)
		}
	}
	rt.Partitions = append(rt.Partitions, rp)
	resp.Topics = append(resp.Topics, rt)
	return resp, nil
}
