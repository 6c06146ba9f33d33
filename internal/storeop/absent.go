package storeop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"gocloud.dev/gcerrors"
)

// Status reads the store's answer out of an error of a bucket's driver: its HTTP status, 0 where
// the error isn't an answer, and for a 404 whether it certainly is of the object, rather than of
// its bucket. It tells what gocloud's codes don't: Google's 403 and Azure's failed DNS are NotFound
// there, as a missing bucket is on S3. Where it knows nothing, and where it is nil, [AnswerOf] is
// asked.
type Status func(err error) (code int, object bool)

// Errors of operations that ask for an object.
var (
	// ErrAbsent is matched where the object certainly isn't there.
	ErrAbsent = errors.New("no such object")
	// ErrUnproven is matched where the store says that the object isn't there, and can't be
	// believed.
	ErrUnproven = errors.New("whether the object is there can't be told")
	// ErrThere is returned by proofs of absence that find the object.
	ErrThere = errors.New("the store lists the object and doesn't give it")
)

// absent is a proven absence. Its code stays NotFound.
type absent struct{ err error }

func (e *absent) Error() string        { return fmt.Sprintf("%v: %v", ErrAbsent, e.err) }
func (e *absent) Unwrap() error        { return e.err }
func (e *absent) Is(target error) bool { return target == ErrAbsent }

// unproven hides gocloud's NotFound: it keeps the driver's own error and what the proof failed by.
type unproven struct{ answer, proof error }

func (e *unproven) Error() string {
	if e.proof == nil {
		return fmt.Sprintf("%v: %v", ErrUnproven, e.answer)
	}
	return fmt.Sprintf("%v: %v: %v", ErrUnproven, e.answer, e.proof)
}

func (e *unproven) Is(target error) bool { return target == ErrUnproven }

func (e *unproven) Unwrap() []error {
	errs := []error{driverError(e.answer)}
	if e.proof != nil {
		errs = append(errs, hideCode(e.proof))
	}
	return errs
}

// driverError is what a portable error of gocloud wraps.
func driverError(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if m, ok := e.(interface{ Unwrap() []error }); ok && len(m.Unwrap()) > 0 && gcerrors.Code(m.Unwrap()[0]) != gcerrors.NotFound {
			return m.Unwrap()[0]
		}
	}
	return errors.New(err.Error())
}

// hideCode keeps an error of a proof from passing for one of the operation.
func hideCode(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return driverError(err)
	}
	return err
}

// settle makes of a try's NotFound what it proves. Absent is not forbidden: the object isn't there
// if the driver's own error is a 404 of the object, or if proof, which begins after that answer,
// succeeds. A status that says something else stands.
func settle(ctx context.Context, p Policy, err error) error {
	if p.Proof == nil || gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	code, object := p.status(err)
	switch {
	case code == http.StatusNotFound && object && !p.Must:
		return &absent{err}
	case code != 0 && code != http.StatusNotFound:
		return &unproven{answer: err}
	}
	if proof := try(ctx, Policy{Timeout: p.Timeout}, p.Proof); proof != nil {
		return &unproven{answer: err, proof: proof}
	}
	return &absent{err}
}

func (p Policy) status(err error) (int, bool) {
	if p.Status != nil {
		if code, object := p.Status(err); code != 0 {
			return code, object
		}
	}
	return AnswerOf(err)
}

// AnswerOf is the [Status] of drivers whose errors have the methods of AWS's SDK.
func AnswerOf(err error) (code int, object bool) {
	var status interface{ HTTPStatusCode() int }
	if !errors.As(err, &status) {
		return 0, false
	}
	var reason interface{ ErrorCode() string }
	if errors.As(err, &reason) {
		switch reason.ErrorCode() {
		case "NoSuchKey":
			return http.StatusNotFound, true
		case "RequestTimeout", "IncompleteBody", "BadDigest": // 400, and another try may do
			return http.StatusRequestTimeout, false
		}
	}
	return status.HTTPStatusCode(), false
}

// Final says of an operation's error whether trying again is of no use.
func (p Policy) final(err error) bool {
	if errors.Is(err, ErrAbsent) {
		return true
	}
	code, _ := p.status(err)
	switch code {
	case 0:
		var dns *net.DNSError
		return !errors.As(err, &dns) && Final(err)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed,
		http.StatusRequestEntityTooLarge, http.StatusNotImplemented, http.StatusMovedPermanently:
		return true
	}
	return Final(err)
}

// Final says of a portable error whether trying again is of no use.
func Final(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.FailedPrecondition, gcerrors.AlreadyExists, gcerrors.InvalidArgument, gcerrors.PermissionDenied, gcerrors.Unimplemented:
		return true
	}
	return false
}

// Refused says that the store may do what was asked, and won't: rights, retention, a lock.
func (p Policy) Refused(err error) bool {
	if errors.Is(err, ErrThere) || gcerrors.Code(err) == gcerrors.PermissionDenied {
		return true
	}
	switch code, _ := p.status(err); code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict:
		return true
	}
	return false
}
