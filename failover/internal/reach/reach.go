// Package reach connects to a cluster through whichever of its paths answers.
package reach

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Connect tries a cluster's paths in their order. That the cluster is the right one is for the
// caller to know. onRetry may be nil.
func Connect(ctx context.Context, paths [][]kgo.Opt, onRetry func(op string, err error)) (*rawkafka.Cluster, error) {
	var errs []error
	for i, opts := range paths {
		cl, err := rawkafka.Connect(ctx, opts, config(ctx, len(paths)-i, onRetry))
		if err == nil {
			return cl, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// config shares the time that is left among the paths that are left.
func config(ctx context.Context, paths int, onRetry func(op string, err error)) rawkafka.Config {
	cfg := rawkafka.Config{OnRetry: onRetry}
	if end, ok := ctx.Deadline(); ok {
		cfg.RequestTimeout = max(time.Until(end)/time.Duration(paths), time.Millisecond)
		cfg.RetryFor = cfg.RequestTimeout
	}
	return cfg
}
