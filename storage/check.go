package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	checksAtOnce = 8
	// maxDamage bounds how many runs of missing objects an error names.
	maxDamage = 1000
)

// CheckObjects checks that every object the snapshot names exists and has its size. Errors are *[DamageError], joined: one
// for each run that can't be read, 1000 at most.
func (s *Snapshot) CheckObjects(ctx context.Context) error {
	bad, err := s.badObjects(ctx)
	if err != nil || len(bad) == 0 {
		return err
	}
	var damage []error
	for r, err := range items(ctx, s, []byte{'r'}, decodeRunItem) {
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		key := s.l.segmentKey(r.Generation, r.Number)
		if reason := bad[key]; reason != nil && len(damage) < maxDamage {
			damage = append(damage, &DamageError{Object: key, Partition: r.Partition, BaseOffset: r.BaseOffset, EndOffset: r.EndOffset, Err: reason})
		}
	}
	return errors.Join(damage...)
}

// decodeRunItem decodes runs and passes holes over.
func decodeRunItem(key, value []byte) (*storedRun, error) {
	if len(key) > 25 && key[25] == 'h' {
		return nil, nil
	}
	return decodeStoredRun(key, value)
}

// badObjects says by key what is wrong with objects.
func (s *Snapshot) badObjects(ctx context.Context) (map[string]error, error) {
	var mu sync.Mutex
	bad := map[string]error{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(checksAtOnce)
	for o, err := range s.Objects(ctx) {
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			reason, err := s.a.checkObject(gctx, o)
			if reason != nil {
				mu.Lock()
				defer mu.Unlock()
				bad[o.Key] = reason
			}
			return err
		})
	}
	return bad, g.Wait()
}

func (a *Archive) checkObject(ctx context.Context, o Object) (reason, err error) {
	var size int64
	err = a.ask(ctx, "stat", o.Key, true, 0, func(ctx context.Context) error {
		attrs, err := a.b.Attributes(ctx, o.Key)
		a.operation("stat", o.Key, 0, err)
		if err == nil {
			size = attrs.Size
		}
		return err
	})
	switch {
	case isAbsent(err):
		return errMissing, nil
	case err != nil:
		return nil, fmt.Errorf("storage: %w", err)
	case size != o.Size:
		return fmt.Errorf("it has %d bytes of %d", size, o.Size), nil
	}
	return nil, nil
}
