package exactcopy

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// A producer is the identity that a partition's next batch or marker carries. It is a function of
// the copy, the partition and what the log holds, so that all processes of one copy have the same:
// that makes the sequence a compare-and-append.
//
// The id isn't one that the cluster handed out (those count up from 0): bit 62 is set, bits 16 to
// 61 are a digest of copy, topic ID and partition, and the low 16 bits are a generation, raised
// when the epochs are used up. Leaders don't care where an id came from, and keep its state per
// partition.
type producer struct {
	id       int64 // generation 0's
	gen      uint16
	epoch    int16
	sequence int32

	first uint16 // generation
	most  int16  // the last epoch of a generation
}

const (
	generations = 1 << 16
	maxEpoch    = math.MaxInt16
)

func newProducer(copyID string, p rawkafka.Partition) producer {
	return digested("kafkadr exact copy\x00"+copyID, p)
}

// newJob is the producer of a job that translates: generation and epoch stay 0, and the sequence is
// the ordinal of the record.
func newJob(job string, p rawkafka.Partition) producer {
	return digested("kafkadr translated\x00"+job, p)
}

func digested(what string, p rawkafka.Partition) producer {
	h := sha256.New()
	h.Write([]byte(what + "\x00"))
	h.Write(p.TopicID[:])
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(p.Partition)))
	digest := binary.BigEndian.Uint64(h.Sum(nil))
	return producer{id: int64(1<<62 | digest>>2&^(generations-1)), most: maxEpoch}
}

// pid is the producer id on the wire.
func (p *producer) pid() int64 { return p.id | int64(p.gen) }

// owns says whether a producer id is one of ours, and which generation.
func (p *producer) owns(pid int64) (gen uint16, ok bool) {
	return uint16(pid & (generations - 1)), pid >= 0 && pid&^(generations-1) == p.id
}

// shows is what a batch in the log says about the producer that wrote it, if that is ours. The
// cleaner may have taken records out of it: what counts is the offsets that it had.
func (p *producer) shows(b batch.Batch) (k known, ours bool) {
	gen, ours := p.owns(b.ProducerID())
	k = known{ours, gen, b.ProducerEpoch(), -1}
	if !b.Control() {
		k.sequence = after(b.BaseSequence(), b.EndOffset()-b.BaseOffset()-1)
	}
	return k, ours
}

// start sets a producer that the log knows nothing of. The sequence follows from the offset, so
// that two processes agree on it.
func (p *producer) start(end int64) {
	p.gen, p.epoch = p.first, 0
	p.sequence = int32(end & math.MaxInt32)
}

// resume takes up what the log knows: the last data's sequence, or, sequence -1, a marker.
func (p *producer) resume(gen uint16, epoch int16, last int32) {
	p.gen, p.epoch = gen, epoch
	if last < 0 {
		p.nextEpoch()
		return
	}
	p.sequence = after(last, 1)
}

// advance moves behind n records.
func (p *producer) advance(n int64) { p.sequence = after(p.sequence, n) }

// nextEpoch begins an epoch that refuses everything older, markers included.
func (p *producer) nextEpoch() {
	p.sequence = 0
	if p.epoch >= p.most {
		p.gen, p.epoch = p.gen+1, 0
		return
	}
	p.epoch++
}

// markers reserves up to n epochs, one for each marker, and leaves the producer at the last of
// them. A generation's last epoch is reserved alone: what comes behind it has another id and
// refuses nothing of this one, so its marker must be the one that refuses a request of many that is
// late.
func (p *producer) markers(n int64) (pid int64, first int16, count int) {
	if p.epoch >= p.most {
		p.nextEpoch()
	}
	count = int(min(n, max(int64(p.most-p.epoch)-1, 1)))
	first = p.epoch + 1
	p.epoch += int16(count)
	p.sequence = 0
	return p.pid(), first, count
}

// after is Kafka's arithmetic of sequences: they wrap at 2^31.
func after(sequence int32, n int64) int32 { return int32((int64(sequence) + n) & math.MaxInt32) }

// retreat takes an advance back.
func (p *producer) retreat(n int64) { p.sequence = after(p.sequence, -n) }
