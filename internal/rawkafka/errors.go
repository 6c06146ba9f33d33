package rawkafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Errors that callers act on.
var (
	// ErrUnknownBroker: the cluster's metadata has no broker of that ID now.
	ErrUnknownBroker = errors.New("rawkafka: unknown broker")
	// ErrThrottled: a fetch's answer has no partition, as of a broker where a quota is exceeded. It
	// is [Retriable].
	ErrThrottled = fmt.Errorf("fetch: the answer has no partition (a quota?): %w", kerr.ThrottlingQuotaExceeded)

	errDeadline    = errors.New("rawkafka: no answer within the request timeout")
	errNoClusterID = errors.New("rawkafka: the broker tells no cluster ID (Kafka before 0.10.1?)")
	errOmitted     = errors.New("rawkafka: the broker's answer omits the partition")
)

// Kind says why [Connect] failed.
type Kind string

// Kinds of connect errors.
const (
	// Unreachable: no broker could be reached, or none answered in time.
	Unreachable Kind = "unreachable"
	// Credentials: authentication failed, or is missing.
	Credentials Kind = "credentials"
	// TLS: the handshake failed, a certificate wasn't accepted, or one side speaks TLS and the
	// other doesn't.
	TLS Kind = "tls"
	// Denied: authenticated, but without the rights.
	Denied Kind = "denied"
	// BadConfig: the options contradict each other or can't be used.
	BadConfig Kind = "config"
	// WrongCluster: another cluster answers than the one that is meant.
	WrongCluster Kind = "wrong_cluster"
	// Protocol: what answered isn't a Kafka broker that can be used.
	Protocol Kind = "protocol"
)

// ConnectError says that a cluster can't be used, and why. It holds no secret.
type ConnectError struct {
	Kind Kind
	// Brokers are the addresses that were tried.
	Brokers []string
	Err     error
}

func (e *ConnectError) Error() string {
	what := map[Kind]string{
		Unreachable:  "no broker could be reached",
		Credentials:  "authentication failed",
		TLS:          "TLS failed",
		Denied:       "missing rights",
		BadConfig:    "wrong client options",
		WrongCluster: "another cluster answers",
		Protocol:     "no usable Kafka broker answered",
	}[e.Kind]
	if len(e.Brokers) == 0 {
		return fmt.Sprintf("rawkafka: connect: %s: %v", what, e.Err)
	}
	return fmt.Sprintf("rawkafka: connect to %s: %s: %v", strings.Join(e.Brokers, ","), what, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

func kindOf(err error) Kind {
	var eof *kgo.ErrFirstReadEOF
	var wrong *WrongClusterError
	switch {
	case errors.As(err, &wrong):
		return WrongCluster
	case isSASL(err):
		return Credentials
	case Denies(err):
		return Denied
	case errors.As(err, &eof):
		if strings.Contains(eof.Error(), "SASL") { // kgo doesn't export which
			return Credentials
		}
		return TLS
	case isTLS(err):
		return TLS
	case errors.Is(err, errNoClusterID), strings.Contains(err.Error(), "invalid large response size"):
		return Protocol
	}
	return Unreachable
}

func isSASL(err error) bool {
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism) ||
		errors.Is(err, kerr.IllegalSaslState)
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
	return errors.As(err, &record) || errors.As(err, &verify) || errors.As(err, &alert) ||
		errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "TLS alert")
}

// Denies says whether err is a broker's answer that a right is missing.
func Denies(err error) bool {
	for _, denied := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.DelegationTokenAuthorizationFailed,
	} {
		if errors.Is(err, denied) {
			return true
		}
	}
	return false
}

// Unknown says whether err is a broker's answer that it knows no such topic,
// partition or topic ID. Right after leaders moved it may be wrong.
func Unknown(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) ||
		errors.Is(err, kerr.InconsistentTopicID)
}

// Unsupported says whether err is that of a request that the broker's ApiVersions doesn't have, or
// not in a version that this client speaks. kgo doesn't export its own.
func Unsupported(err error) bool {
	return err != nil && (errors.Is(err, kerr.UnsupportedVersion) ||
		strings.Contains(err.Error(), "broker is too old") || strings.Contains(err.Error(), "request key is unknown"))
}

// Retriable says whether an error may go away by itself: a moved leader, a
// lost connection, a starting broker. Missing rights and unknown topics don't,
// nor does the end of the caller's context.
func Retriable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) || Unknown(err) || Denies(err) || isSASL(err) {
		return false
	}
	if errors.Is(err, ErrUnknownBroker) || errors.Is(err, errDeadline) || errors.Is(err, errOmitted) || kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err) {
		return true
	}
	return errors.Is(err, kerr.UnknownServerError) || isNetwork(err)
}

// isNetwork: a broker that is down refuses connections, one that goes down
// closes them at any point.
func isNetwork(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound || isTLS(err) {
		return false
	}
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) // of a dialer in memory
}
