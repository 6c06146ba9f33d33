package main

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
)

// open opens the register: one bucket, or a quorum of several, any minority of which may be away.
// Call the returned func when done.
func (r *registerSpec) open(ctx context.Context, a *app, how use) (register.Register, func(), error) {
	var buckets []*blob.Bucket
	done := func() {
		for _, b := range buckets {
			_ = b.Close()
		}
	}
	var stores []register.Store
	for _, s := range r.stores {
		b, err := s.bucket(ctx, how)
		if err != nil && len(r.stores) > 1 && !errors.As(err, new(*usageError)) { // such as a directory that isn't mounted
			a.log.Warn("a store of the register is away", "store", s.name(), "err", err)
			stores = append(stores, awayStore{err})
			continue
		}
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("register: %s: %w", s.name(), err)
		}
		buckets = append(buckets, b)
		one, err := bucket.Open(ctx, b, r.config(a, s, how == reading))
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("%s: %w", s.name(), s.explainStore(err))
		}
		if len(r.stores) == 1 {
			return one, done, nil
		}
		stores = append(stores, one)
	}
	q, err := quorum.New(quorum.Config{Stores: stores, Hooks: quorum.Hooks{
		OnStoreError: func(store int, _ string, err error) {
			a.log.Warn("a store of the register fails", "store", r.stores[store].name(), "err", err)
		},
	}})
	if err != nil {
		done()
		return nil, nil, err
	}
	return q, done, nil
}

func (r *registerSpec) config(a *app, s *storeFlags, readOnly bool) bucket.Config {
	return bucket.Config{
		Prefix: r.Prefix, ReadOnly: readOnly && len(r.stores) == 1, Later: true, Status: storeAnswer,
		Hooks: bucket.Hooks{OnRetry: func(op, key string, err error) {
			a.log.Debug("trying again", "store", s.name(), "op", op, "key", key, "err", err)
		}},
	}
}

// awayStore is a store of a quorum that can't be opened.
type awayStore struct{ err error }

func (s awayStore) CreateObject(context.Context, string, []byte) error { return s.err }
func (s awayStore) ReadObject(context.Context, string) ([]byte, error) { return nil, s.err }
