package rawkafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Log is what a topic's effective configs say of its logs: where records may be missing, and where
// they may lie. The zero value is a topic with cleanup.policy=delete on the brokers' disks.
type Log struct {
	// Compacts says that cleanup.policy compacts. Only there may offsets below the last stable
	// offset have no batch with none behind them.
	Compacts bool
	// Remote says that records are, or may be, in tiered storage (remote.storage.enable): a read
	// may be slow, and an empty answer says that it was.
	Remote bool
}

// LogOf reads the configs of a topic. Where they can't be read (get never has a value), anything
// may be true: the log counts as Remote.
func LogOf(get func(key string) string) Log {
	policy := get("cleanup.policy")
	remote := policy == "" || get("remote.storage.enable") == "true"
	return Log{Compacts: !remote && strings.Contains(policy, "compact"), Remote: remote}
}

// Logs reads what the configs of topics say of their logs; those that can't be read are in tiered
// storage, maybe.
func (c *Cluster) Logs(ctx context.Context, topics ...string) (map[string]Log, error) {
	got, err := c.Admin().DescribeTopicConfigs(ctx, topics...)
	if err != nil && len(got) == 0 && !Denies(err) {
		return nil, fmt.Errorf("describe configs: %w", err)
	}
	logs := make(map[string]Log, len(topics))
	for _, topic := range topics {
		rc, _ := got.On(topic, nil)
		logs[topic] = LogOf(func(key string) string {
			for _, c := range rc.Configs {
				if c.Key == key {
					return c.MaybeValue()
				}
			}
			return ""
		})
	}
	return logs, nil
}

// How long, and how often, a broker is asked until an empty answer is believed.
const (
	voidAfter   = 3 * time.Second
	voidAnswers = 4
	// VoidPause is how long to wait before an empty answer is asked for again.
	VoidPause = voidAfter / 6
)

// EmptyError says that the leader has answered for a while as if no batch lay in [Offset, Stable),
// and that nothing proves it: the topic isn't compacted, or it is, or may be, in tiered storage,
// whose reads are too slow or fail. It passes where the data can be read again.
type EmptyError struct {
	Partition
	Offset, Stable int64
	For            time.Duration
	Log            Log
}

func (e *EmptyError) Error() string {
	why := "its cleanup.policy doesn't compact: was it compacted once?"
	if e.Log.Remote {
		why = "it is, or may be, in tiered storage: see remote.fetch.max.wait.ms, and whether the storage answers"
	}
	return fmt.Sprintf("%s at %d: the leader has answered without data for %s, and the last stable offset is %d; %s", e.Partition, e.Offset, e.For.Round(time.Second), e.Stable, why)
}

// Empties counts the answers without data that came of one position, one after the other. The zero
// value has none.
type Empties struct {
	// N is how many there were.
	N int
	// To is the least end that one of them had: the high watermark, the last stable offset, or
	// where reading ends.
	To int64

	since time.Time
}

// Add takes an answer in that has no batch in [position, to).
func (e *Empties) Add(to int64, now time.Time) {
	if e.N == 0 {
		e.since, e.To = now, to
	}
	e.N++
	e.To = min(e.To, to)
}

// Proves says that no batch lies before To: the log compacts, and there were several answers over
// seconds.
func (e *Empties) Proves(log Log, now time.Time) bool {
	return log.Compacts && !log.Remote && e.N >= voidAnswers && now.Sub(e.since) >= voidAfter
}

// For is how long there have been answers without data.
func (e *Empties) For(now time.Time) time.Duration {
	if e.N == 0 {
		return 0
	}
	return now.Sub(e.since)
}

// Error says that they prove nothing.
func (e *Empties) Error(p Partition, offset int64, log Log, now time.Time) *EmptyError {
	return &EmptyError{Partition: p, Offset: offset, Stable: e.To, For: e.For(now), Log: log}
}

// beside is a connection to the same cluster for what brokers may take long to answer: they answer
// the requests of one connection in turn. Close it.
func (c *Cluster) beside() (*Cluster, error) {
	open := &openHook{}
	cl, err := kgo.NewClient(append(c.cl.Opts(), kgo.WithHooks(open))...)
	if err != nil {
		return nil, err
	}
	return &Cluster{cfg: c.cfg, connection: &connection{cl: cl, adm: kadm.NewClient(cl), open: open, id: c.id}}, nil
}

// request sends a loop's request: those of one partition alone go by a connection of their own.
func (f *Fetcher) request(ctx context.Context, s *server, req kmsg.Request) (kmsg.Response, error) {
	if !s.alone {
		return f.c.Request(ctx, s.broker, req)
	}
	f.mu.Lock()
	if f.beside == nil {
		beside, err := f.c.beside()
		if err != nil {
			f.mu.Unlock()
			return nil, err
		}
		f.beside = beside
	}
	c := f.beside
	f.mu.Unlock()
	return c.Request(ctx, s.broker, req)
}
