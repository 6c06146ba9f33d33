package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

const (
	version = 1
	// MaxBytes bounds an epoch's JSON, of about 200 000 forks.
	MaxBytes = 16 << 20
)

// document is an epoch as it is stored.
type document struct {
	Version int `json:"version"`
	Epoch
}

// Encode returns an epoch as registers store it, a JSON object: the fields of [Epoch] and
// "version": 1. It is for drivers. One that isn't sound, or longer than 16 MiB, is an
// *[InvalidError].
func Encode(e Epoch) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	e.At = e.At.UTC().Round(0)
	raw, err := json.Marshal(document{version, e})
	if err != nil {
		return nil, e.invalid("%v", err)
	}
	if len(raw) > MaxBytes {
		return nil, e.invalid("it has %d bytes; %d are allowed", len(raw), MaxBytes)
	}
	return raw, nil
}

// Decode reads what Encode has made: the epoch of a scope and number. It is for drivers, and trusts
// no byte. Key names the object in errors: a *[DamageError] where it isn't that epoch, a
// *[VersionError] where a newer program wrote it. Fields that it doesn't know are passed over.
func Decode(key, scope string, number int64, raw []byte) (Epoch, error) {
	e, err := decode(key, raw)
	if err != nil {
		return Epoch{}, err
	}
	if e.Scope != scope || e.Number != number {
		return Epoch{}, &DamageError{Key: key, Err: fmt.Errorf("it is epoch %d of %s, instead of %d of %s", e.Number, e.Scope, number, scope)}
	}
	return e, nil
}

func decode(key string, raw []byte) (Epoch, error) {
	damage := func(err error) (Epoch, error) { return Epoch{}, &DamageError{Key: key, Err: err} }
	if len(raw) > MaxBytes {
		return damage(fmt.Errorf("it has %d bytes; %d are allowed", len(raw), MaxBytes))
	}
	if !utf8.Valid(raw) {
		return damage(errors.New("it isn't UTF-8"))
	}
	var v struct{ Version int }
	if err := json.Unmarshal(raw, &v); err != nil {
		return damage(err)
	}
	if v.Version > version {
		return Epoch{}, &VersionError{Key: key, Version: v.Version}
	}
	if v.Version != version {
		return damage(fmt.Errorf("its format version is %d", v.Version))
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return damage(err)
	}
	d.At = d.At.In(time.UTC)
	if err := d.check(); err != nil {
		return damage(err)
	}
	return d.Epoch, nil
}
