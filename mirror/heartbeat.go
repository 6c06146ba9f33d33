package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

const (
	// heartbeatHour is how long heartbeats are kept.
	heartbeatHour  = "3600000"
	heartbeatWait  = 10 * time.Second
	heartbeatBytes = 8
)

// heartbeatTopic is the topic that heartbeats are written to: one for each source cluster, so that
// a standby of two sources has both.
func (fl *flow) heartbeatTopic() string { return "kafkadr-heartbeats-" + fl.source.ID() }

// heartbeats writes one at each interval, with the time and whose it is, into a topic that is
// mirrored as any other.
func (e *engine) heartbeats(ctx context.Context) error {
	if e.cfg.Heartbeat <= 0 || e.cfg.Once {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for there, said := false, false; ; {
		var err error
		if !there {
			err = e.makeHeartbeats(ctx)
			there = err == nil
		}
		if there {
			err = e.beatOnce(ctx)
		}
		pause := e.cfg.Heartbeat
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			said = false
			e.beats.enable(true)
		case rawkafka.Denies(err):
			there, pause = false, e.cfg.tuning.pause
			e.beats.enable(false)
			if !said {
				e.say(nil, Event{Kind: HeartbeatDenied, Detail: err.Error()})
				said = true
			}
		case !there || rawkafka.Unknown(err):
			there, pause = false, min(pause, time.Second)
			e.beats.enable(false)
			e.hooks.retry("heartbeats", err)
		default:
			e.hooks.retry("heartbeat", err)
		}
		if err := rawkafka.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// beats are the heartbeats of a flow that came through.
type beats struct {
	key   string    // of the flow's own
	since time.Time // older ones are of a mirror before

	mu     sync.Mutex
	status HeartbeatStatus
	at     time.Time // of the last one
}

func (fl *flow) newBeats() *beats { return &beats{key: fl.heartbeatKey(), since: fl.started} }

// enable says whether they are written.
func (b *beats) enable(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Enabled = on
}

// of is their status; none is that of which nothing is known.
func (b *beats) of(none HeartbeatStatus, now time.Time) HeartbeatStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		none.Enabled = b.status.Enabled
		return none
	}
	s := b.status
	s.AgeMillis = now.Sub(b.at).Milliseconds()
	return s
}

// makeHeartbeats creates the topic, unless it is there.
func (fl *flow) makeHeartbeats(ctx context.Context) error {
	hour := heartbeatHour
	resp, err := fl.source.Admin().CreateTopic(ctx, 1, -1, map[string]*string{"retention.ms": &hour}, fl.heartbeatTopic())
	if err == nil {
		err = resp.Err
	}
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}

// beatOnce writes one heartbeat. One that comes late, or twice, does no harm.
func (fl *flow) beatOnce(ctx context.Context) error {
	p := rawkafka.Partition{Topic: fl.heartbeatTopic()}
	leader, _, err := fl.near.Leader(ctx, p)
	if err != nil {
		return err
	}
	topics, err := fl.near.Topics(ctx, p.Topic)
	if err != nil {
		return err
	}
	batch, err := fl.heartbeat(time.Now())
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(heartbeatWait.Milliseconds())
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, topics[p.Topic].ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := fl.near.Request(ctx, leader, req)
	if err != nil {
		fl.near.Forget(p)
		return err
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, a := range t.Partitions {
			if err = kerr.ErrorForCode(a.ErrorCode); err != nil {
				fl.near.Forget(p)
			}
		}
	}
	return err
}

// heartbeat is a batch with the time.
func (fl *flow) heartbeat(now time.Time) ([]byte, error) {
	raw, err := batch.Append(nil, 0, kgo.NoCompression(), &kgo.Record{
		Key: []byte(fl.heartbeatKey()), Value: binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())), Timestamp: now, //nolint:gosec // after 1970
	})
	if err != nil {
		return nil, err
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return nil, err
	}
	return b.ForProduce(nil, -1, -1, -1), nil
}

// heartbeatKey tells the heartbeats of several mirrors of one source apart.
func (fl *flow) heartbeatKey() string { return fl.target.ID() + "/" + fl.cfg.Name }

// heard takes in a heartbeat that is durable on the standby.
func (b *beats) heard(batches []byte, now time.Time) {
	for one, err := range batch.All(batches) {
		if err != nil || one.Control() {
			continue
		}
		rs, err := batch.Decode(one, 1<<20)
		if err != nil {
			continue
		}
		for _, r := range rs {
			if string(r.Key) != b.key || len(r.Value) != heartbeatBytes {
				continue
			}
			sent := time.Unix(0, int64(binary.BigEndian.Uint64(r.Value)))
			if sent.Before(b.since) {
				continue
			}
			b.mu.Lock()
			b.status.Count++
			b.status.LatencyMillis = float64(now.Sub(sent).Microseconds()) / 1000
			b.at = now
			b.mu.Unlock()
		}
	}
}
