package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Config is how a quorum is opened.
type Config struct {
	// Required.

	// Stores are three, or another odd number above it, that fail independently. All who share the
	// register need the same ones; the set can't be changed under a scope that is in use.
	Stores []register.Store

	// Optional.

	// Timeout is how long one operation of one store may take, its own retries included. Default 5
	// s.
	Timeout time.Duration
	// Patience is how long a Create goes on against others that write the same epoch, before it
	// returns [register.ErrContended]. Default 30 s.
	Patience time.Duration
	// Hooks are called at what an operator may want to know.
	Hooks Hooks
}

const (
	defaultTimeout  = 5 * time.Second
	defaultPatience = 30 * time.Second
	// grace is how long a round that has a majority and no verdict waits for the others.
	grace = 100 * time.Millisecond
)

// Hooks are called synchronously, from any goroutine that uses the register; nil ones are skipped.
type Hooks struct {
	// OnStoreError is called for each store that fails in a round, also where a majority served it.
	// Store is its index.
	OnStoreError func(store int, key string, err error)
	// OnBallot is called when a writer begins a ballot. One above 0 means that others wrote the
	// same epoch, or that a writer died.
	OnBallot func(scope string, number int64, ballot int)
}

// Register is a register over three stores or more that stays what it is, linearizable, while a
// majority of them answers. Each request goes to all stores at once and is done with the first
// majority, so a slow store delays nothing. A Get of an epoch that isn't there is one read of each
// store, of one that is there two. Safe for concurrent use.
//
// A Get may have to finish what a writer that died has begun, or put a copy on a store that missed
// it; it needs rights to write then, and returns the store's error where it has none.
type Register struct {
	cfg      Config
	majority int
}

// New returns a register over stores. It does no I/O.
func New(cfg Config) (*Register, error) {
	var faults []error
	if n := len(cfg.Stores); n < 3 || n%2 == 0 {
		faults = append(faults, fmt.Errorf("%d stores; three or another odd number above are required", n))
	}
	if slices.Contains(cfg.Stores, nil) {
		faults = append(faults, errors.New("a store is nil"))
	}
	if cfg.Timeout < 0 || cfg.Patience < 0 {
		faults = append(faults, errors.New("a duration is negative"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("register: %w", errors.Join(faults...))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	cfg.Stores = slices.Clone(cfg.Stores)
	return &Register{cfg: cfg, majority: len(cfg.Stores)/2 + 1}, nil
}

// Get implements [register.Register].
func (q *Register) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := register.CheckNumber(scope, number); err != nil {
		return register.Epoch{}, err
	}
	d := &decision{q: q, scope: scope, number: number}
	value, err := d.read(ctx)
	if err != nil {
		return register.Epoch{}, d.fault(err)
	}
	if value == nil {
		return register.Epoch{}, fmt.Errorf("%w: %d of %s", register.ErrNoEpoch, number, scope)
	}
	return register.Decode(d.key(0, "value"), scope, number, value)
}

// Create implements [register.Register].
func (q *Register) Create(ctx context.Context, e register.Epoch) error {
	mine, err := register.Encode(e)
	if err != nil {
		return err
	}
	d := &decision{q: q, scope: e.Scope, number: e.Number}
	value, err := d.write(ctx, mine)
	if err != nil {
		return d.fault(err)
	}
	if bytes.Equal(value, mine) {
		return nil
	}
	there, err := register.Decode(d.key(0, "value"), e.Scope, e.Number, value)
	if err != nil {
		return err
	}
	return register.Conflict(e, there)
}
