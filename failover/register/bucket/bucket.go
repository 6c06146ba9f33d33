package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/storeop"
)

// Config is how a bucket is used. The zero value is the default.
type Config struct {
	// Prefix is put before all keys, such as "failover/". Default none. All who share the register
	// need the same.
	Prefix string
	// Timeout is how long the store may take for one try of an operation. Default 5 s.
	Timeout time.Duration
	// Retries bounds how often an operation is tried again, with backoff (50 ms, doubled up to 2 s,
	// with jitter), before its error is returned. Default 4; negative: never.
	Retries int
	// ReadOnly opens with reading rights alone: the store isn't tried, and Create is refused with
	// [register.ErrReadOnly].
	ReadOnly bool
	// Later tries the store before the first Create instead of at open, which then needs no store:
	// for those of a quorum, one of which may be away. Default off.
	Later bool
	// Status reads out of an error of the bucket's driver which HTTP status the store answered, 0
	// where it is no answer, and whether a 404 certainly is of the object rather than of its
	// bucket: gocloud's codes don't tell. Default: as S3's driver tells. Where nothing does, a Get
	// that finds nothing takes a second GET request.
	Status func(err error) (code int, object bool)
	// Hooks are called at operations.
	Hooks Hooks
}

const (
	defaultTimeout = 5 * time.Second
	defaultRetries = 4
)

// Hooks are called synchronously, from any goroutine that uses the register; nil ones are skipped.
type Hooks struct {
	// OnOperation is called after each try of an operation, "get" or "put": what it took, and its
	// error, which an absent object or one that is there already is as well.
	OnOperation func(op, key string, took time.Duration, err error)
	// OnRetry is called before an operation is tried again.
	OnRetry func(op, key string, err error)
}

// Register is a register in a bucket of any store that creates objects only where there is none,
// and a [register.Store] for a quorum: one object for each epoch. A Get is one GET request, and a
// second where an epoch isn't there and the driver doesn't say that this is a 404 of the object
// ([Config.Status]). Nothing is ever written over or deleted, and listed only where nothing is
// known yet. Safe for concurrent use.
//
// An epoch isn't there only if that is proven: by the status, or by an object that is known to be
// there (the newest epoch that was seen, else the marker) and is read after the store's answer. So
// lost rights, a lost bucket, directory or network are errors other than [register.ErrNoEpoch], and
// confirm no lease.
//
// The store isn't believed more than needed. What was written is read back, so a PUT that failed
// and has succeeded counts, one that is said to have succeeded and isn't there is
// [register.ErrStale], and one that was written over is [register.ErrNotCreateOnly]. What this
// value has seen once and the store shows no more, or otherwise, is the same errors. A stale read
// of an epoch that nobody here has seen can't be told from its absence.
type Register struct {
	b   *blob.Bucket
	cfg Config

	mu    sync.Mutex
	tried bool
	// seen is the highest epoch of each scope that was read or written.
	seen map[string]seen
	// known is the key of an object that was read or written: the latest.
	known string
}

type seen struct {
	number int64
	digest [sha256.Size]byte
}

// Open opens a register in a bucket, which stays the caller's. It writes the marker object
// "register" and tries to write it again: a store that lets it, and so ignores create-only writes,
// is refused with [register.ErrNotCreateOnly]. A marker of a newer version is a
// *[register.VersionError], another object of that name a *[register.DamageError].
func Open(ctx context.Context, b *blob.Bucket, cfg Config) (*Register, error) {
	if b == nil {
		return nil, errors.New("register: no bucket")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Retries == 0 {
		cfg.Retries = defaultRetries
	}
	r := &Register{b: b, cfg: cfg, seen: map[string]seen{}}
	if cfg.ReadOnly || cfg.Later {
		return r, nil
	}
	return r, r.try(ctx)
}

// Get implements [register.Register].
func (b *Register) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	before := b.highest(scope)
	e, err := register.GetFrom(ctx, b, scope, number)
	if errors.Is(err, register.ErrNoEpoch) && number <= before {
		return register.Epoch{}, fmt.Errorf("%w: epoch %d of %s has been there", register.ErrStale, before, scope)
	}
	if err == nil {
		err = b.remember(e)
	}
	if err != nil {
		return register.Epoch{}, err
	}
	return e, nil
}

// Create implements [register.Register].
func (b *Register) Create(ctx context.Context, e register.Epoch) error {
	err := register.CreateIn(ctx, b, e)
	var conflict *register.ConflictError
	switch {
	case err == nil:
		return b.remember(e)
	case errors.As(err, &conflict):
		return errors.Join(b.remember(conflict.Epoch), err)
	}
	return err
}

// highest is the number of the highest epoch that was read or written.
func (b *Register) highest(scope string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[scope].number
}

// remember notes an epoch, and holds it against what was there before.
func (b *Register) remember(e register.Epoch) error {
	raw, err := register.Encode(e)
	if err != nil {
		return err
	}
	now := seen{e.Number, sha256.Sum256(raw)}
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.seen[e.Scope]
	if now.number == was.number && now.digest != was.digest {
		return fmt.Errorf("%w: epoch %d of %s was another before", register.ErrNotCreateOnly, e.Number, e.Scope)
	}
	if now.number > was.number {
		b.seen[e.Scope] = now
	}
	return nil
}

// ReadObject implements [register.Store], in one GET request.
func (b *Register) ReadObject(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := b.retry(ctx, "get", key, func(ctx context.Context) (err error) {
		value, err = b.readOnce(ctx, key)
		return err
	})
	if errors.Is(err, storeop.ErrAbsent) {
		return nil, fmt.Errorf("%w: %s", register.ErrNoObject, key)
	}
	if err != nil {
		return nil, fmt.Errorf("register: get %s: %w", key, err)
	}
	b.know(key)
	return value, nil
}

// know notes an object that is there.
func (b *Register) know(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = key
}

// proveAbsent succeeds if an object that is known to be there can be read. Where nothing was seen
// yet that is the marker; a register that nobody has written to doesn't have one either: then
// nothing may be listed.
func (b *Register) proveAbsent(ctx context.Context, key string) error {
	b.mu.Lock()
	known := b.known
	b.mu.Unlock()
	if known == key {
		return fmt.Errorf("%w: %s has been there", register.ErrStale, key)
	}
	if known != "" {
		_, err := b.readOnce(ctx, known)
		return err
	}
	if key != markerKey {
		if _, err := b.readOnce(ctx, markerKey); gcerrors.Code(err) != gcerrors.NotFound {
			return err
		}
	}
	page, _, err := b.b.ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: b.cfg.Prefix + key})
	if err == nil && len(page) > 0 {
		return storeop.ErrThere
	}
	return err
}

func (b *Register) readOnce(ctx context.Context, key string) ([]byte, error) {
	r, err := b.b.NewReader(ctx, b.cfg.Prefix+key, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if r.Size() > register.MaxBytes {
		return nil, &register.DamageError{Key: key, Err: fmt.Errorf("it has %d bytes; %d are allowed", r.Size(), register.MaxBytes)}
	}
	value, err := io.ReadAll(io.LimitReader(r, register.MaxBytes+1))
	if err == nil && int64(len(value)) != r.Size() {
		err = fmt.Errorf("%d of %d bytes: %w", len(value), r.Size(), io.ErrUnexpectedEOF)
	}
	return value, err
}

// CreateObject implements [register.Store]. The object is read back, whatever the store has
// answered.
func (b *Register) CreateObject(ctx context.Context, key string, value []byte) error {
	if b.cfg.ReadOnly {
		return register.ErrReadOnly
	}
	if err := b.try(ctx); err != nil {
		return err
	}
	return b.create(ctx, key, value)
}

func (b *Register) create(ctx context.Context, key string, value []byte) error {
	putErr := b.retry(ctx, "put", key, func(ctx context.Context) error { return b.putOnce(ctx, key, value) })
	if ctx.Err() != nil {
		return fmt.Errorf("register: put %s: %w", key, putErr)
	}
	var there []byte
	err := b.retry(ctx, "get", key, func(ctx context.Context) (err error) {
		if there, err = b.readOnce(ctx, key); gcerrors.Code(err) == gcerrors.NotFound && (putErr == nil || isConflict(putErr)) {
			return fmt.Errorf("%w: %s", register.ErrStale, key) // worth another look
		}
		return err
	})
	switch {
	case errors.Is(err, register.ErrStale):
		return err
	case err != nil && putErr != nil && !isConflict(putErr):
		return fmt.Errorf("register: put %s: %w", key, putErr)
	case err != nil:
		return fmt.Errorf("register: get %s: %w", key, err)
	case bytes.Equal(there, value):
		b.know(key)
		return nil
	case putErr == nil:
		return fmt.Errorf("%w: %s was created, and holds something else", register.ErrNotCreateOnly, key)
	}
	return fmt.Errorf("%w: %s", register.ErrExists, key)
}

func (b *Register) putOnce(ctx context.Context, key string, value []byte) error {
	return b.b.Upload(ctx, b.cfg.Prefix+key, bytes.NewReader(value), &blob.WriterOptions{IfNotExist: true, ContentType: "application/json", DisableContentTypeDetection: true})
}

// isConflict says that a create-only write met an object.
func isConflict(err error) bool {
	code := gcerrors.Code(err)
	return code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists
}
