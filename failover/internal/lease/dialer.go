package lease

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kgo"
)

// DialFunc is what [kgo.Dialer] takes.
type DialFunc = func(ctx context.Context, network, host string) (net.Conn, error)

var errNoDialer = errors.New("lease: this version of kgo doesn't tell its dialer")

// Dialer is how cl dials, with the guard above: above TLS too, which is spoken as kgo does, with
// the broker's host as the server name where the config has none.
//
// A record whose request was refused stays buffered in kgo, which tries again, for its next
// connection, until the guard lets it through or the client is closed ([kgo.ErrClientClosed]): the
// record's context doesn't end it. No byte of it was sent, but an earlier try of the same batch may
// have been.
//
// Of the client only the options are read ([kgo.Dialer], [kgo.DialTLSConfig], [kgo.DialTimeout]);
// it may be closed.
func Dialer(cl *kgo.Client, guard Guard) (DialFunc, error) {
	dial, ok := cl.OptValue(kgo.Dialer).(DialFunc) // NewClient has put the default there, with TLS where that is on
	if !ok || dial == nil {
		return nil, errNoDialer
	}
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		c, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		return Conn(c, guard), nil
	}, nil
}

// Opts are the options, with a dialer that has the guard above the one that they describe. They are
// read from a client that is made of them, does nothing, and is closed; hooks among them see it
// come and go, so leave an application's out.
func Opts(opts []kgo.Opt, guard Guard) ([]kgo.Opt, error) {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithContext(dead))...)
	if err != nil {
		return nil, fmt.Errorf("lease: client options: %w", err)
	}
	defer cl.Close()
	dial, err := Dialer(cl, guard)
	if err != nil {
		return nil, err
	}
	return append(opts[:len(opts):len(opts)], kgo.Dialer(dial), kgo.DialTLSConfig(nil)), nil
}
