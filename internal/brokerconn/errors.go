package brokerconn

import (
	"fmt"
	"net"
)

// WrongClusterError says that another cluster answers at an address than the one that is meant.
type WrongClusterError struct {
	// Want is the ID of the cluster that is meant, Got the one that answers; an empty one wasn't
	// told.
	Want string `json:"want"`
	Got  string `json:"got"`
	// Addr is the broker's address, as it was dialed.
	Addr string `json:"addr"`
}

func (e *WrongClusterError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("wrong cluster: %s answers without a cluster ID, and %q is meant", e.Addr, e.Want)
	}
	return fmt.Sprintf("wrong cluster: %q answers at %s, and %q is meant", e.Got, e.Addr, e.Want)
}

// UnreachableError says that a broker can't be reached at the address that it advertises, though
// others of its cluster have answered: advertised.listeners are wrong, or closed to this machine,
// or the broker is down.
type UnreachableError struct {
	// Broker is its ID, Addr the host and port that it advertises.
	Broker int32  `json:"broker"`
	Addr   string `json:"addr"`
	// Seeds are the addresses that the client was given.
	Seeds []string `json:"seeds"`
	Err   error    `json:"-"`
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("broker %d can't be reached at %s, which it advertises (seed brokers: %v): %v", e.Broker, e.Addr, e.Seeds, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// netError is how kgo is told: as of a broker that can't be dialed, it goes on to others.
func netError(addr string, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: address(addr), Err: err}
}

// address is a net.Addr of an address that may be a name.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
