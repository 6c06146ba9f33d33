package faultbucket

import (
	"context"
	"errors"
	"slices"
	"sync"

	"gocloud.dev/blob"
)

// Kind is what an operation does.
type Kind string

// The operations.
const (
	Get    Kind = "get"
	Put    Kind = "put"
	List   Kind = "list"
	Stat   Kind = "stat"
	Delete Kind = "delete"
	Copy   Kind = "copy"
)

// Op is one operation: the N-th one from 1, on a key or prefix.
type Op struct {
	N    int
	Kind Kind
	Key  string
}

// Fault is what goes wrong.
type Fault int

// The faults.
const (
	// None: the operation is passed on.
	None Fault = iota
	// Before: it fails and has no effect.
	Before
	// After: it fails and has succeeded.
	After
	// Drop: it says success and has no effect. Puts and deletes only; else None.
	Drop
	// Cut: a get's bytes end in the middle, with an error. Else Before.
	Cut
	// Short: a get's bytes end in the middle as if the object did. Else None.
	Short
	// Block: it waits until Release, or its context's end.
	Block
	// Full: a put fails with no effect, as on a full disk. Else None.
	Full
	// Hide: it fails with no effect, and the error's code is NotFound, as gocloud has it of
	// Google's 403 and of Azure's failed DNS.
	Hide
)

// Errors of operations that were made to fail.
var (
	ErrInjected = errors.New("injected fault")
	ErrFull     = errors.New("injected fault: no space left")
	ErrHidden   = errors.New("injected fault: it isn't said whether that is there")
)

// Rule says what goes wrong with an operation. It is called once for each, under a lock.
type Rule func(Op) Fault

// At makes the n-th operation go wrong.
func At(n int, f Fault) Rule { return when(f, func(o Op) bool { return o.N == n }) }

// From makes the n-th operation go wrong, and fails all later ones: the process is cut off from its
// store.
func From(n int, f Fault) Rule {
	return func(o Op) Fault {
		switch {
		case o.N < n:
			return None
		case o.N == n:
			return f
		}
		return Before
	}
}

// On makes every operation of a kind go wrong.
func On(k Kind, f Fault) Rule { return when(f, func(o Op) bool { return o.Kind == k }) }

func when(f Fault, is func(Op) bool) Rule {
	return func(o Op) Fault {
		if is(o) {
			return f
		}
		return None
	}
}

// Faults is the switchboard of one bucket. Safe for concurrent use.
type Faults struct {
	mu       sync.Mutex
	ops      []Op
	rule     Rule
	gate     func(context.Context, Op) error
	released chan struct{}
	blocked  int
	careless bool
}

// New puts faults in front of inner. The bucket that it returns doesn't close inner.
func New(inner *blob.Bucket) (*blob.Bucket, *Faults) {
	f := &Faults{released: make(chan struct{})}
	return blob.NewBucket(&bucket{inner: inner, f: f}), f
}

// Set takes a rule from now on; nil is none.
func (f *Faults) Set(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = r
}

// Gate is called before every operation, without a lock; it may wait, and its error is the
// operation's. nil is none.
func (f *Faults) Gate(gate func(context.Context, Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = gate
}

// IgnoreCreateOnly makes the store overwrite what was to be created only, as some do.
func (f *Faults) IgnoreCreateOnly() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.careless = true
}

func (f *Faults) isCareless() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.careless
}

// Reset forgets the operations so far and takes a rule.
func (f *Faults) Reset(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops, f.rule = nil, r
}

// Count is the number of operations so far.
func (f *Faults) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Ops are the operations so far.
func (f *Faults) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// Blocked is how many operations wait now.
func (f *Faults) Blocked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blocked
}

// Release lets the waiting operations go on, and later ones pass.
func (f *Faults) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = nil
	close(f.released)
	f.released = make(chan struct{})
}

// next counts an operation and says what goes wrong with it, once it may begin.
func (f *Faults) next(ctx context.Context, k Kind, key string) (Fault, error) {
	f.mu.Lock()
	op := Op{N: len(f.ops) + 1, Kind: k, Key: key}
	f.ops = append(f.ops, op)
	fault, gate, released := None, f.gate, f.released
	if f.rule != nil {
		fault = f.rule(op)
	}
	f.mu.Unlock()
	if gate != nil {
		if err := gate(ctx, op); err != nil {
			return None, err
		}
	}
	switch {
	case fault == Before || fault == Cut && k != Get && k != Put:
		return fault, ErrInjected
	case fault == Hide:
		return fault, ErrHidden
	case fault == Full && k == Put:
		return fault, ErrFull
	case fault == Block:
		return None, f.wait(ctx, released)
	}
	return fault, nil
}

func (f *Faults) wait(ctx context.Context, released <-chan struct{}) error {
	f.count(1)
	defer f.count(-1)
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Faults) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked += n
}

// outcome is an operation's error, after its effect.
func outcome(fault Fault, err error) error {
	if err == nil && fault == After {
		return ErrInjected
	}
	return err
}
