package brokerconn

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Conn returns a connection to a broker, dialed at addr, that leads to the guard's cluster or
// fails. Where TLS is spoken, c is the [crypto/tls.Conn], not the one beneath it.
//
// Writes may split and join requests. Up to the first request that isn't of the opening, fewer than
// eight bytes of a request are held back until there are more. That request's Write takes a round
// trip, within its write deadline or else 10 s.
func (g *Guard) Conn(c net.Conn, addr string) net.Conn {
	return &conn{Conn: c, guard: g, addr: addr, asked: make(map[int32]header)}
}

// conn is a guarded connection.
//
// The probe, as events in time, where a reader may be within Read:
//  1. The writer, which holds wmu, moves gate to gateKick under dmu and sets a read deadline in the past.
//  2. The reader returns from the connection, gives rmu back, and waits for the gate to open.
//  3. The writer takes rmu, moves gate to gateRead, and makes its own write deadline the one of reads.
//  4. The writer sends the probe and reads until its answer has come; what else comes is kept in out.
//  5. The writer restores the read deadline, moves gate to gateOpen and wakes the reader.
type conn struct {
	net.Conn
	guard *Guard
	addr  string

	wmu   sync.Mutex  // held while bytes are written
	known atomic.Bool // the cluster is the right one, as far as brokers tell; written under wmu and rmu
	head  []byte      // of a request whose header isn't whole: not written yet while !known, else a copy
	left  int         // bytes of the request under way that are to be written
	bare  bool        // SASL handshake version 0 was asked for: tokens without a header follow

	amu   sync.Mutex
	asked map[int32]header // requests whose answers tell the cluster ID, by correlation ID
	open  atomic.Int32     // len(asked)

	rmu     sync.Mutex // held while bytes are read
	rhead   [classifyBytes]byte
	rhas    int    // bytes in rhead
	rleft   int    // bytes of the response under way that are to be read and handed on
	looking header // of the answer that is held back
	held    []byte // its bytes
	missing int    // those that are to come; 0: none is held back
	out     []byte // to be handed on before anything is read

	dmu         sync.Mutex
	gate        gateState
	opened      chan struct{} // closed when the gate opens, nil before it is moved
	read, write time.Time     // deadlines as they were set

	broken atomic.Pointer[error]
}

type gateState int

const (
	gateIdle gateState = iota // nothing but the opening was sent
	gateKick
	gateRead
	gateOpen // for good, or broken
)

var (
	errFrame = errors.New("brokerconn: not a Kafka request: its length makes no sense")
	errEarly = errors.New("brokerconn: the broker sends what it wasn't asked for")
)

// fail breaks the connection. The first error counts.
func (c *conn) fail(err error) error {
	if c.broken.CompareAndSwap(nil, &err) {
		_ = c.Conn.Close()
	}
	return *c.broken.Load()
}

// err is what broke the connection.
func (c *conn) err() error {
	if err := c.broken.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if err := c.err(); err != nil {
		return 0, err
	}
	if !c.known.Load() {
		return c.openWith(p)
	}
	if err := c.follow(p); err != nil {
		return 0, c.fail(err)
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.fail(err)
	}
	return n, err
}

// openWith writes while the cluster isn't known.
func (c *conn) openWith(p []byte) (int, error) {
	held := len(c.head)
	buf := p
	if held > 0 {
		buf = slices.Concat(c.head, p)
	}
	pass, gated, err := c.opening(buf)
	if err != nil {
		return 0, c.fail(err)
	}
	rest := buf[pass:]
	if pass > 0 {
		if n, err := c.Conn.Write(buf[:pass]); err != nil {
			return max(n-held, 0), c.fail(err)
		}
	}
	if !gated {
		c.head = slices.Clone(rest)
		return len(p), nil
	}
	c.head = nil
	switch err := c.identify(); {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		_ = c.fail(err) // the reader is told: kgo says of a connection that ends before its first answer why that may be
		return len(p), nil
	case err != nil:
		return max(pass-held, 0), c.fail(err)
	}
	if err := c.follow(rest); err != nil {
		return max(pass-held, 0), c.fail(err)
	}
	if n, err := c.Conn.Write(rest); err != nil {
		return max(pass+n-held, 0), c.fail(err)
	}
	return len(p), nil
}

// opening says how many bytes of p are of the opening, and whether another request follows them.
// Else the rest is the beginning of a header.
func (c *conn) opening(p []byte) (pass int, gated bool, err error) {
	for {
		n := min(c.left, len(p)-pass)
		c.left, pass = c.left-n, pass+n
		if c.left > 0 || len(p)-pass < lengthBytes {
			return pass, false, nil
		}
		size := readLength(p[pass:])
		switch {
		case size < 0:
			return pass, false, errFrame
		case size < classifyBytes-lengthBytes: // nothing that has a header
			c.left = lengthBytes + size
			continue
		case len(p)-pass < classifyBytes:
			return pass, false, nil
		}
		h := readHeader(p[pass:])
		if opens := h.opens() || c.bare && h.token(); !opens {
			return pass, true, nil
		}
		c.bare = c.bare || h.key == keySASLHandshake && h.version == 0
		c.left = lengthBytes + size
	}
}

// follow notes what is asked for once the cluster is known. Its usual case is one whole request.
func (c *conn) follow(p []byte) error {
	for len(p) > 0 {
		if c.left > 0 {
			n := min(c.left, len(p))
			c.left, p = c.left-n, p[n:]
			continue
		}
		head := p
		if len(c.head) > 0 || len(p) < headerBytes {
			n := min(headerBytes-len(c.head), len(p))
			c.head = append(c.head, p[:n]...)
			if size := c.head; len(size) >= lengthBytes && readLength(size) < headerBytes-lengthBytes {
				return errFrame
			}
			if p = p[n:]; len(c.head) < headerBytes {
				return nil
			}
			head, c.head = c.head, nil
			c.left -= headerBytes
		}
		size := readLength(head)
		if size < headerBytes-lengthBytes {
			return errFrame
		}
		c.left += lengthBytes + size
		if h := readHeader(head); h.names() {
			h.id = readID(head[classifyBytes:])
			c.ask(h)
		}
	}
	return nil
}

func (c *conn) ask(h header) {
	c.amu.Lock()
	defer c.amu.Unlock()
	c.asked[h.id] = h
	c.open.Store(int32(len(c.asked))) //nolint:gosec // few
}

// answers says which request a response is for, if that tells the cluster ID.
func (c *conn) answers(id int32) (header, bool) {
	if c.open.Load() == 0 {
		return header{}, false
	}
	c.amu.Lock()
	defer c.amu.Unlock()
	h, ok := c.asked[id]
	delete(c.asked, id)
	c.open.Store(int32(len(c.asked))) //nolint:gosec // few
	return h, ok
}
