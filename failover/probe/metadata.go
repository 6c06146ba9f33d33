package probe

import (
	"context"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// MetadataConfig is what [Metadata] looks for. The zero value is ready.
type MetadataConfig struct {
	// ClusterID is the cluster ID that has to answer. Default: any.
	ClusterID string
}

// Metadata holds that a seed broker answers a Metadata request, after the login where there is one.
// All seed brokers are asked at once; one answer is enough.
func Metadata(cfg MetadataConfig) Probe {
	return func(ctx context.Context, t Target) error {
		l := &look{probe: "metadata", target: t}
		_, err := l.metadata(ctx, []string{}, func(md *kmsg.MetadataResponse) error {
			if id := deref(md.ClusterID); cfg.ClusterID != "" && id != cfg.ClusterID {
				return l.fault(WrongCluster, fmt.Errorf("cluster ID %q answers, not %q", id, cfg.ClusterID))
			}
			return nil
		})
		return ended(ctx, err)
	}
}

// TCP holds that a seed broker accepts a connection: no TLS, no login, no request. A dialer among
// the options ([kgo.Dialer]) is used.
func TCP() Probe {
	return func(ctx context.Context, t Target) error {
		l := &look{probe: "tcp", target: t}
		cl, err := l.client(ctx)
		if err != nil {
			return err
		}
		defer cl.Close()
		dial := plainDial(cl)
		seeds, _ := cl.OptValue(kgo.SeedBrokers).([]string)
		_, err = first(ctx, l, seeds, func(ctx context.Context, addr string) (struct{}, error) {
			c, err := dial(ctx, "tcp", withPort(addr))
			if err == nil {
				_ = c.Close()
			}
			return struct{}{}, err
		})
		return ended(ctx, err)
	}
}

type dialFunc = func(ctx context.Context, network, host string) (net.Conn, error)

func plainDial(cl *kgo.Client) dialFunc {
	if tls, _ := cl.OptValue(kgo.DialTLS).(bool); !tls {
		if dial, ok := cl.OptValue(kgo.Dialer).(dialFunc); ok {
			return dial
		}
	}
	return (&net.Dialer{}).DialContext
}

// withPort adds Kafka's port where an address has none, as kgo does.
func withPort(addr string) string {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(addr, "9092")
	}
	return addr
}

// OfflineConfig is what [OfflinePartitions] looks for. The zero value is ready.
type OfflineConfig struct {
	// Topics are the names to look at. Default: all that the login may describe, but internal ones.
	Topics []string
	// Share is the part of the partitions without a leader beyond which the cluster is down.
	// Default 0.5: more than half of them.
	Share float64
}

// OfflinePartitions holds that enough partitions have a leader, as brokers' metadata has it. A
// topic that isn't there doesn't count.
func OfflinePartitions(cfg OfflineConfig) Probe {
	if cfg.Share <= 0 {
		cfg.Share = 0.5
	}
	topics := cfg.Topics
	if len(topics) == 0 {
		topics = nil
	}
	return func(ctx context.Context, t Target) error {
		l := &look{probe: "offline partitions", target: t}
		_, err := l.metadata(ctx, topics, func(md *kmsg.MetadataResponse) error { return l.offline(cfg, md) })
		return ended(ctx, err)
	}
}

func (l *look) offline(cfg OfflineConfig, md *kmsg.MetadataResponse) error {
	var all, offline int
	var refused error
	for _, t := range md.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); denies(err) {
			refused = fmt.Errorf("%s: %w", deref(t.Topic), err)
		}
		if t.IsInternal && len(cfg.Topics) == 0 {
			continue
		}
		for _, p := range t.Partitions {
			all++
			if p.Leader < 0 {
				offline++
			}
		}
	}
	switch {
	case all == 0 && refused != nil:
		return l.fault(Denied, refused)
	case all == 0 && len(cfg.Topics) > 0:
		return l.fault(Config, fmt.Errorf("none of %d topics is there", len(cfg.Topics)))
	case float64(offline) > cfg.Share*float64(all):
		return l.fault(Offline, fmt.Errorf("%d of %d partitions have no leader", offline, all))
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
