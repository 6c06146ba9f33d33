package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage/segment"
)

const (
	// fewObjects are asked for one by one; more are looked up in a listing.
	fewObjects = 16
	// maxDamage bounds how many runs of missing objects an error names.
	maxDamage = 1000
)

// CheckObjects checks that every object the snapshot names exists and has its size. Errors are
// *[DamageError], joined: one for each run that can't be read, 1000 at most.
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
	bad := map[string]error{}
	for o, err := range s.CheckEach(ctx) {
		var damage *DamageError
		switch {
		case err != nil:
			return nil, err
		case errors.As(o.Err, &damage):
			bad[o.Key] = damage.Err
		case o.Err != nil:
			return nil, o.Err
		}
	}
	return bad, nil
}

// CheckedObject is an object that a snapshot names.
type CheckedObject struct {
	Object
	// Err is nil where the object exists and has its size. A *[DamageError] says that it is missing
	// or of another size, an
	// *[UnreadableError] that the store refuses to say; any other error is the store's.
	Err error
}

// CheckEach yields every object that the snapshot names, in the order of keys, after it was looked
// whether it exists and has its size. Many are looked up in listings of the store, 1000 at once;
// what a listing doesn't show as it should be is asked for by itself. The sequence's own errors are
// of the manifest, and the sequence goes on behind them, or of a listing.
func (s *Snapshot) CheckEach(ctx context.Context) iter.Seq2[CheckedObject, error] {
	return inOrder(ctx, s.a, s.lookedUp(ctx), func(ctx context.Context, o listedObject) CheckedObject {
		if o.listed {
			return CheckedObject{Object: o.Object}
		}
		return CheckedObject{Object: o.Object, Err: s.a.checkObject(ctx, o.Object)}
	})
}

// listedObject is an object of a manifest; listed says that the store lists it as the manifest has
// it.
type listedObject struct {
	Object
	listed bool
}

// lookedUp yields the snapshot's objects. If they are more than a few, a listing is walked beside
// them: keys have the order of the manifest.
func (s *Snapshot) lookedUp(ctx context.Context) iter.Seq2[listedObject, error] {
	return func(yield func(listedObject, error) bool) {
		n := 0
		for _, err := range s.Objects(ctx) {
			if n++; n > fewObjects || err != nil {
				break
			}
		}
		l := &listing{}
		if n > fewObjects {
			l.next, l.stop = iter.Pull2(s.a.list(ctx, s.l.segmentPrefix(), ""))
			defer l.stop()
		}
		for o, err := range s.Objects(ctx) {
			listed := false
			if err == nil {
				var at *blob.ListObject
				at, err = l.find(o.Key)
				listed = at != nil && at.Size == o.Size
			}
			if !yield(listedObject{o, listed}, err) {
				return
			}
		}
	}
}

// listing is walked forwards.
type listing struct {
	next func() (*blob.ListObject, error, bool)
	stop func()
	at   *blob.ListObject
	end  bool
}

// find returns the object of a key, or nil where the listing doesn't have it behind the one that
// was asked for before.
func (l *listing) find(key string) (*blob.ListObject, error) {
	if l.next == nil {
		return nil, nil
	}
	for !l.end && (l.at == nil || l.at.Key < key) {
		o, err, ok := l.next()
		if err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
		l.at, l.end = o, !ok
	}
	if l.end || l.at.Key != key {
		return nil, nil
	}
	return l.at, nil
}

// checkObject asks the store for an object.
func (a *Archive) checkObject(ctx context.Context, o Object) error {
	var size int64
	err := a.ask(ctx, "stat", o.Key, true, 0, func(ctx context.Context) error {
		attrs, err := a.b.Attributes(ctx, o.Key)
		a.operation("stat", o.Key, 0, err)
		if err == nil {
			size = attrs.Size
		}
		return err
	})
	switch {
	case isAbsent(err):
		return &DamageError{Object: o.Key, Err: errMissing}
	case a.refuses(err):
		return &UnreadableError{Object: o.Key, Err: err}
	case err != nil:
		return fmt.Errorf("storage: %w", err)
	case size != o.Size:
		return &DamageError{Object: o.Key, Err: fmt.Errorf("it has %d bytes of %d", size, o.Size)}
	}
	return nil
}

// CheckedRun is a run of a snapshot.
type CheckedRun struct {
	Run
	// Err is nil where the run's index is what the manifest means, and its object has the size that
	// the manifest says. A *[DamageError] of the object says that the run can't be read; one of
	// another object is the manifest's. An *[UnreadableError] says that the store refuses. Any
	// other error is the store's.
	Err error
}

// CheckRuns yields a history's runs whose end is beyond from and whose base is before end, in
// order, after the index of each was read and checked: so much of a segment is found to be damaged
// without reading its batches. Many are read side by side. The sequence's own errors are those of
// Runs. Where what the manifest says of an object's size is lost, that isn't looked at.
func (s *Snapshot) CheckRuns(ctx context.Context, p segment.Partition, history int32, from, end int64) iter.Seq2[CheckedRun, error] {
	runs := func(yield func(Run, error) bool) {
		for r, err := range s.Runs(ctx, p, history, from) {
			if err == nil && r.BaseOffset >= end || !yield(r, err) {
				return
			}
		}
	}
	return inOrder(ctx, s.a, runs, func(ctx context.Context, r Run) CheckedRun { return CheckedRun{r, s.checkRun(ctx, r)} })
}

func (s *Snapshot) checkRun(ctx context.Context, r Run) error {
	_, size, err := s.readRun(ctx, r)
	if err != nil {
		return err
	}
	generation, number, _ := s.l.parseSegmentKey(r.Object)
	raw, ok, err := s.tree.Get(ctx, objectKey(generation, number))
	if err = s.manifestError(err); isLost(err) {
		return nil // the size is lost with a part of the manifest; the run isn't: its frames have digests
	} else if err != nil {
		return err
	}
	o, err := decodeObject(raw)
	if !ok || err != nil {
		return s.objectError(r, r.BaseOffset, r.EndOffset, &DamageError{Err: errors.New("the manifest doesn't name the object")})
	}
	if size != o.Size {
		return s.objectError(r, r.BaseOffset, r.EndOffset, &DamageError{Err: fmt.Errorf("it has %d bytes of %d", size, o.Size)})
	}
	return nil
}
