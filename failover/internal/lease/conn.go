package lease

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"slices"
	"sync"
)

// Guard is asked for each Kafka request, by its API key, before it is sent; an error refuses it. It
// must be safe for concurrent use.
type Guard func(apiKey int16) error

var errFrame = errors.New("lease: not a Kafka request: its length makes no sense")

const (
	lengthBytes = 4
	headBytes   = 6 // the length and the API key
	noKey       = -1
)

// Conn returns a connection to a broker whose requests the guard is asked for. A Write with a
// refused request in it fails with the guard's error, and no byte of it is sent.
//
// kgo writes one request with each Write. Where a writer splits a request, the guard is asked at
// its first bytes and again at each further part, so that the rest of a request whose lease is over
// stays away and the broker drops it; the connection is useless then, and every further Write fails
// with the same error. Fewer than six bytes are held back until there are more. Several requests in
// one Write are all asked for before the first byte is sent.
//
// Where TLS is spoken, c is the [crypto/tls.Conn], not the one beneath it. Tokens of SASL handshake
// version 0 (brokers before Kafka 1.0) have no API key: the guard sees two bytes of them, never 0
// to 31 with PLAIN and SCRAM.
func Conn(c net.Conn, guard Guard) net.Conn { return &conn{Conn: c, guard: guard} }

type conn struct {
	net.Conn
	guard Guard

	mu     sync.Mutex // held while bytes are written, as net's own connections do
	frame  frame
	broken error
}

// frame is where a connection stands within its requests.
type frame struct {
	head []byte // of a request whose key isn't known yet
	left int    // bytes of the request whose key was admitted that aren't written yet
	key  int16
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return 0, c.broken
	}
	held := len(c.frame.head)
	buf := p
	if held > 0 {
		buf = slices.Concat(c.frame.head, p)
	}
	next, err := c.frame.advance(buf, c.guard)
	if err != nil {
		if held > 0 || c.frame.left > 0 {
			c.broken = err
		}
		return 0, err
	}
	send := buf[:len(buf)-len(next.head)]
	c.frame = next
	if len(send) == 0 {
		return len(p), nil
	}
	n, err := c.Conn.Write(send)
	if err != nil {
		c.broken = err
		return max(n-held, 0), err
	}
	return len(p), nil
}

// advance asks for what is in p, which begins where f stands, and says where its end stands.
func (f frame) advance(p []byte, guard Guard) (frame, error) {
	f.head = nil
	if f.left > 0 && len(p) > 0 {
		if err := f.ask(guard); err != nil {
			return f, err
		}
	}
	for {
		n := min(f.left, len(p))
		f.left, p = f.left-n, p[n:]
		if len(p) == 0 {
			return f, nil
		}
		if len(p) < lengthBytes {
			f.head = append([]byte(nil), p...)
			return f, nil
		}
		size := int(int32(binary.BigEndian.Uint32(p))) //nolint:gosec // as the protocol has it
		switch {
		case size < 0 || size > math.MaxInt32-lengthBytes:
			return f, errFrame
		case size < headBytes-lengthBytes: // nothing that has a key
			f.left, f.key = lengthBytes+size, noKey
			continue
		case len(p) < headBytes:
			f.head = append([]byte(nil), p...)
			return f, nil
		}
		f.left, f.key = lengthBytes+size, int16(binary.BigEndian.Uint16(p[lengthBytes:])) //nolint:gosec // as the protocol has it
		if err := f.ask(guard); err != nil {
			return f, err
		}
	}
}

func (f frame) ask(guard Guard) error {
	if f.key == noKey {
		return nil
	}
	return guard(f.key)
}
