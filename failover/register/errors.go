package register

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers act on.
var (
	// ErrNoEpoch says that there is no epoch of that number in that scope.
	ErrNoEpoch = errors.New("register: no such epoch")
	// ErrNotCreateOnly says that the store overwrites an object that was to be created only: two
	// controllers would both win.
	ErrNotCreateOnly = errors.New("register: the store ignores create-only writes")
	// ErrStale says that the store doesn't show what is known to be there. Whether an epoch exists
	// can't be known from it.
	ErrStale = errors.New("register: the store doesn't show what it holds")
	// ErrNoMajority says that too few of a quorum's stores have answered. The error joins theirs.
	ErrNoMajority = errors.New("register: no majority of the stores has answered")
	// ErrContended says that others kept a quorum from deciding for as long as its Patience allows.
	ErrContended = errors.New("register: others are writing the epoch")
	// ErrReadOnly says that the register was opened read-only.
	ErrReadOnly = errors.New("register: opened read-only")
)

// ConflictError says that somebody else has written the epoch.
type ConflictError struct {
	// Epoch is what is there.
	Epoch Epoch
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("register: epoch %d of %s is another's: %s", e.Epoch.Number, e.Epoch.Scope, e.Epoch.By)
}

// Conflict is what a driver's Create returns where an epoch is there already: nil where it is the
// same in everything, else a *[ConflictError].
func Conflict(mine, there Epoch) error {
	if mine.Equal(there) {
		return nil
	}
	return &ConflictError{Epoch: there}
}

// NoScopeError says that a scope has no epoch: nobody has begun it ([Begin]) in this register, or
// its name, the register's prefix or its store is mistyped. It matches [ErrNoEpoch].
type NoScopeError struct {
	Scope string
	// Others are scopes that the store has, where it can be listed.
	Others []string
}

func (e *NoScopeError) Error() string {
	text := fmt.Sprintf("register: scope %s has no epoch: an operator begins it, once; or its name, the prefix or the store is mistyped", e.Scope)
	if len(e.Others) > 0 {
		text += "; there are: " + strings.Join(e.Others, ", ")
	}
	return text
}

// Is says that it is an [ErrNoEpoch].
func (e *NoScopeError) Is(target error) bool { return target == ErrNoEpoch }

// InvalidError is an epoch that no register takes, or one that mustn't follow the one before it.
type InvalidError struct {
	Scope  string
	Number int64
	// Reason says what is wrong.
	Reason string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("register: epoch %d of %s: %s", e.Number, e.Scope, e.Reason)
}

// DamageError is an object that is not what was written there.
type DamageError struct {
	// Key is the object's.
	Key string
	// Err says what is wrong.
	Err error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("register: object %s is damaged: %v", e.Key, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// VersionError is an object of a format version that this package doesn't know: a newer program
// wrote it.
type VersionError struct {
	// Key is the object's.
	Key     string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("register: object %s has format version %d; this is a reader of version %d", e.Key, e.Version, version)
}
