package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Kind says what a probe saw.
type Kind string

// Kinds of faults. The first five count as down by default ([Rule.Ignore]), the others say that the
// probe can't tell ([Rule.AlsoDown]).
const (
	// Unreachable: no broker could be connected to, or each broke the connection off.
	Unreachable Kind = "unreachable"
	// Timeout: nothing answered in time.
	Timeout Kind = "timeout"
	// Offline: too many partitions have no leader.
	Offline Kind = "offline"
	// Canary: no canary record could be written, or none that was written could be read.
	Canary Kind = "canary"
	// Slow: slower than [Rule.SlowerThan].
	Slow Kind = "slow"

	// Auth: a broker answers, but not to these credentials or certificates.
	Auth Kind = "auth"
	// Denied: a broker answers that a right is missing.
	Denied Kind = "denied"
	// WrongCluster: what answers is another cluster.
	WrongCluster Kind = "wrong_cluster"
	// Config: the client options are wrong, or what the probe needs isn't there.
	Config Kind = "config"
)

// gravity orders the faults of several brokers: what an answer tells comes before silence.
var gravity = []Kind{WrongCluster, Auth, Denied, Config, Offline, Canary, Slow, Timeout, Unreachable}

// Fault is what was wrong. Its text holds no secrets.
type Fault struct {
	Kind Kind
	// Cluster is the target's name, Probe which probe saw it.
	Cluster, Probe string
	// Err is the cause. What a login's own code returned may be in it, which isn't in the fault's
	// text.
	Err error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("probe: %s: %s: %s: %s", f.Cluster, f.Probe, f.Kind, f.cause())
}

func (f *Fault) Unwrap() error { return f.Err }

// cause is what may be printed. A SASL mechanism is the application's code, and what it returns may
// have a token in it.
func (f *Fault) cause() string {
	var ke *kerr.Error
	switch {
	case f.Err == nil:
		return "no cause"
	case f.Kind != Auth || isTLS(f.Err):
		return f.Err.Error()
	case errors.As(f.Err, &ke):
		return ke.Error()
	}
	return "the login failed"
}

// SaysDown says whether an error says that the cluster is down: a fault of the first five kinds, or
// an error that isn't a [Fault], of a probe of one's own. Of what [AllOf] returns one is enough; of
// what [AnyOf] returns all have to.
func SaysDown(err error) bool { return down(err, countsAsDown) }

func countsAsDown(k Kind) bool {
	switch k {
	case Auth, Denied, WrongCluster, Config:
		return false
	}
	return true
}

func down(err error, counts func(Kind) bool) bool {
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case nil:
		return false
	case *Fault:
		return counts(e.Kind)
	case *anyError:
		for _, err := range e.errs {
			if !down(err, counts) {
				return false
			}
		}
		return true
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if down(err, counts) {
				return true
			}
		}
		return false
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return down(inner, counts)
		}
	}
	return true
}

// KindOf is the kind of the gravest fault in err; empty where there is none.
func KindOf(err error) Kind {
	for _, k := range gravity {
		if has(err, k) {
			return k
		}
	}
	return ""
}

func has(err error, k Kind) bool {
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case *Fault:
		return e.Kind == k
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if has(err, k) {
				return true
			}
		}
	case interface{ Unwrap() error }:
		return has(e.Unwrap(), k)
	}
	return false
}

// classify says what kind of fault an error of a client is.
func classify(err error) Kind {
	var first *kgo.ErrFirstReadEOF
	switch {
	case isSASL(err), isTLS(err):
		return Auth
	case errors.As(err, &first): // the broker hangs up: kgo exports only in the text where
		if strings.Contains(first.Error(), "SASL") {
			return Auth
		}
		return Unreachable
	case denies(err):
		return Denied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed), isTimeout(err): // only its context closes the client
		return Timeout
	}
	return Unreachable
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isSASL(err error) bool {
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism) || errors.Is(err, kerr.IllegalSaslState)
}

func denies(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed)
}

func isTLS(err error) bool {
	var (
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &verify) || errors.As(err, &alert) || errors.As(err, &unknown) || errors.As(err, &host) ||
		errors.As(err, &invalid) || strings.Contains(err.Error(), "tls: ")
}
