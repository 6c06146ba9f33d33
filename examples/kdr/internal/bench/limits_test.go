package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// topicState is what the limits need to know of a topic.
type topicState struct {
	id         [16]byte
	leaders    map[int32]int32
	start, end []int64
}

func describe(ctx context.Context, cl *kgo.Client, topic string) (*topicState, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	meta, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	t := meta.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, err
	}
	s := &topicState{id: t.TopicID, leaders: map[int32]int32{}, start: make([]int64, len(t.Partitions)), end: make([]int64, len(t.Partitions))}
	for _, p := range t.Partitions {
		s.leaders[p.Partition] = p.Leader
	}
	for at, into := range map[int64][]int64{-2: s.start, -1: s.end} {
		lo := kmsg.NewPtrListOffsetsRequest()
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = topic
		for p := range into {
			lp := kmsg.NewListOffsetsRequestTopicPartition()
			lp.Partition, lp.Timestamp = int32(p), at
			lt.Partitions = append(lt.Partitions, lp)
		}
		lo.Topics = append(lo.Topics, lt)
		for _, shard := range cl.RequestSharded(ctx, lo) {
			if shard.Err != nil {
				return nil, shard.Err
			}
			for _, p := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
				into[p.Partition] = p.Offset
			}
		}
	}
	return s, nil
}

// fetchRaw fetches the whole topic from one broker, one request in flight
// ahead of the handler, and gives each partition's bytes to handle.
func fetchRaw(ctx context.Context, cl *kgo.Client, topic string, handle func(partition int32, batches []byte) error) error {
	s, err := describe(ctx, cl, topic)
	if err != nil {
		return err
	}
	next := append([]int64(nil), s.start...)
	broker := cl.Broker(int(s.leaders[0]))
	for left := len(next); left > 0; {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.MinBytes, req.MaxWaitMillis, req.IsolationLevel = 8<<20, 1, 500, 1
		ft := kmsg.NewFetchRequestTopic()
		ft.Topic, ft.TopicID = topic, s.id
		for p := range next {
			if next[p] >= s.end[p] {
				continue
			}
			fp := kmsg.NewFetchRequestTopicPartition()
			fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = int32(p), next[p], 1<<20
			ft.Partitions = append(ft.Partitions, fp)
		}
		if left = len(ft.Partitions); left == 0 {
			return nil
		}
		req.Topics = append(req.Topics, ft)
		resp, err := broker.Request(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range resp.(*kmsg.FetchResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
				whole := 0
				for b, err := range batch.All(p.RecordBatches) {
					if err != nil {
						return err
					}
					if err := b.CheckCRC(); err != nil {
						return err
					}
					whole += b.Len()
					next[p.Partition] = b.EndOffset()
				}
				if err := handle(p.Partition, p.RecordBatches[:whole]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// limitBackup fetches raw, checks CRCs, writes a file per partition and fsyncs.
func limitBackup(ctx context.Context, cl *kgo.Client, topic, dir string) (int64, error) {
	files := map[int32]*os.File{}
	var n int64
	err := fetchRaw(ctx, cl, topic, func(p int32, b []byte) error {
		f := files[p]
		if f == nil {
			var err error
			if f, err = os.Create(filepath.Join(dir, fmt.Sprint(p))); err != nil {
				return err
			}
			files[p] = f
		}
		n += int64(len(b))
		_, err := f.Write(b)
		return err
	})
	for _, f := range files {
		if e := f.Sync(); err == nil {
			err = e
		}
		f.Close()
	}
	return n, err
}

// prebuild writes the topic's batches as a producer sends them, a file per
// partition, for limitRestore.
func prebuild(ctx context.Context, cl *kgo.Client, topic, dir string) (n int64, err error) {
	files := map[int32]*os.File{}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	err = fetchRaw(ctx, cl, topic, func(p int32, raw []byte) error {
		f := files[p]
		if f == nil {
			var err error
			if f, err = os.Create(filepath.Join(dir, fmt.Sprint(p))); err != nil {
				return err
			}
			files[p] = f
		}
		for b, err := range batch.All(raw) {
			if err != nil {
				return err
			}
			if b.Control() || b.Transactional() {
				return errors.New("the limit knows plain batches alone")
			}
			if _, err := f.Write(b.ForProduce(nil, -1, -1, -1)); err != nil {
				return err
			}
			n += int64(b.Len())
		}
		return nil
	})
	return n, err
}

// producer hands out the next batches of partitions that have none under way.
type producer struct {
	mu    sync.Mutex
	free  *sync.Cond
	files map[int32]*bufio.Reader
	busy  map[int32]bool
	n     int64
}

// take returns a batch of each of up to max idle partitions, or none at the end.
func (p *producer) take(ctx context.Context, max int) (map[int32][]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ctx.Err() == nil && len(p.files) > 0 {
		out := map[int32][]byte{}
		for i, f := range p.files {
			if p.busy[i] || len(out) == max {
				continue
			}
			head, err := f.Peek(12)
			if err == io.EOF {
				delete(p.files, i)
				continue
			}
			if err != nil {
				return nil, err
			}
			raw := make([]byte, 12+binary.BigEndian.Uint32(head[8:]))
			if _, err := io.ReadFull(f, raw); err != nil {
				return nil, err
			}
			out[i], p.busy[i] = raw, true
			p.n += int64(len(raw))
		}
		if len(out) > 0 {
			return out, nil
		}
		if len(p.files) > 0 {
			p.free.Wait()
		}
	}
	return nil, ctx.Err()
}

func (p *producer) done(sent map[int32][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range sent {
		p.busy[i] = false
	}
	p.free.Broadcast()
}

// limitRestore produces the prebuilt batches of dir, five requests in flight,
// in each a batch of some of the partitions.
func limitRestore(ctx context.Context, cl *kgo.Client, dir, to string) (int64, error) {
	s, err := describe(ctx, cl, to)
	if err != nil {
		return 0, err
	}
	p := &producer{files: map[int32]*bufio.Reader{}, busy: map[int32]bool{}}
	p.free = sync.NewCond(&p.mu)
	for i := range s.leaders {
		f, err := os.Open(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return 0, err
		}
		defer func() { _ = f.Close() }()
		p.files[i] = bufio.NewReaderSize(f, 1<<20)
	}
	const inFlight = 5
	each := (len(p.files) + inFlight - 1) / inFlight
	g, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		g.Go(func() error {
			for {
				batches, err := p.take(ctx, each)
				if err != nil || len(batches) == 0 {
					return err
				}
				req := kmsg.NewPtrProduceRequest()
				req.Acks, req.TimeoutMillis = -1, 30000
				rt := kmsg.NewProduceRequestTopic()
				rt.Topic, rt.TopicID = to, s.id
				for i, raw := range batches {
					rp := kmsg.NewProduceRequestTopicPartition()
					rp.Partition, rp.Records = i, raw
					rt.Partitions = append(rt.Partitions, rp)
				}
				req.Topics = append(req.Topics, rt)
				err = produceOnce(ctx, cl.Broker(int(s.leaders[0])), req)
				p.done(batches)
				if err != nil {
					return err
				}
			}
		})
	}
	return p.n, g.Wait()
}

func produceOnce(ctx context.Context, br *kgo.Broker, req *kmsg.ProduceRequest) error {
	resp, err := br.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d: %w", p.Partition, err)
			}
		}
	}
	return nil
}

// limitVerify reads every file under dir through SHA-256 and CRC-32C.
func limitVerify(dir string) (int64, error) {
	var n int64
	table := crc32.MakeTable(crc32.Castagnoli)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		m, err := io.CopyBuffer(io.MultiWriter(sha256.New(), crc32.New(table)), struct{ io.Reader }{f}, make([]byte, 1<<20))
		n += m
		return err
	})
	return n, err
}

// countRaw counts the records in a topic's batches.
func countRaw(ctx context.Context, cl *kgo.Client, topic string, n *int64) error {
	return fetchRaw(ctx, cl, topic, func(_ int32, raw []byte) error {
		for b, err := range batch.All(raw) {
			if err != nil {
				return err
			}
			*n += int64(b.Records())
		}
		return nil
	})
}
