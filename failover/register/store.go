package register

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Store keeps small objects, each written once; a quorum stands on three of them. [Memory] and a
// bucket.Register are stores. Implementations are safe for concurrent use, by processes as well:
// once CreateObject has returned nil or ErrExists, or ReadObject a value, every ReadObject that
// begins afterwards returns the object. Both return within their context.
type Store interface {
	// CreateObject writes an object where none of its key is; the error matches [ErrExists] where
	// one is. After any other error the object may be there or not, or come later.
	CreateObject(ctx context.Context, key string, value []byte) error
	// ReadObject returns an object, or an error that matches [ErrNoObject] where it certainly isn't
	// there.
	ReadObject(ctx context.Context, key string) ([]byte, error)
}

// Errors of stores.
var (
	ErrExists   = errors.New("register: the object exists")
	ErrNoObject = errors.New("register: no such object")
)

// epochKey names an epoch's object.
func epochKey(scope string, number int64) string {
	return fmt.Sprintf("epochs/%s/%020d.json", scope, number)
}

// scopeOf is the scope whose epoch has a key.
func scopeOf(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, "epochs/")
	if !ok {
		return "", false
	}
	scope, _, ok := strings.Cut(rest, "/")
	return scope, ok
}

// GetFrom is [Register.Get] of a register with one object for each epoch.
func GetFrom(ctx context.Context, s Store, scope string, number int64) (Epoch, error) {
	if err := CheckNumber(scope, number); err != nil {
		return Epoch{}, err
	}
	key := epochKey(scope, number)
	raw, err := s.ReadObject(ctx, key)
	if errors.Is(err, ErrNoObject) {
		return Epoch{}, noEpoch(scope, number)
	}
	if err != nil {
		return Epoch{}, err
	}
	return Decode(key, scope, number, raw)
}

func noEpoch(scope string, number int64) error {
	return fmt.Errorf("%w: %d of %s", ErrNoEpoch, number, scope)
}

// CreateIn is [Register.Create] of a register with one object for each epoch.
func CreateIn(ctx context.Context, s Store, e Epoch) error {
	raw, err := Encode(e)
	if err != nil {
		return err
	}
	err = s.CreateObject(ctx, epochKey(e.Scope, e.Number), raw)
	if !errors.Is(err, ErrExists) {
		return err
	}
	there, err := GetFrom(ctx, s, e.Scope, e.Number)
	if errors.Is(err, ErrNoEpoch) {
		return fmt.Errorf("%w: epoch %d of %s exists, and isn't there", ErrStale, e.Number, e.Scope)
	}
	if err != nil {
		return err
	}
	return Conflict(e, there)
}
