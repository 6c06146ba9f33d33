package brokerconn

import (
	"cmp"
	"errors"
	"io"
	"time"
)

// identify asks which cluster this is, and reads the answer. wmu is held.
func (c *conn) identify() error {
	c.moveGate(gateKick)
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.moveGate(gateRead)
	defer c.moveGate(gateOpen)
	if _, err := c.Conn.Write(probe(c.guard.cfg.ClientID)); err != nil {
		return err
	}
	body, err := c.await()
	if err != nil {
		return err
	}
	a, err := readAnswer(keyMetadata, probeVersion, body)
	if err != nil {
		return err
	}
	if err := c.guard.judge(c.addr, a, true); err != nil {
		return err
	}
	c.known.Store(true)
	return nil
}

// maxEarly bounds what a broker may send before its cluster is known.
const maxEarly = 1 << 20

// await reads up to the answer to the probe and returns it, without its header. What comes before
// it is kept in out.
func (c *conn) await() ([]byte, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	for {
		frame := make([]byte, lengthBytes)
		if _, err := io.ReadFull(c.Conn, frame); err != nil {
			return nil, err
		}
		size := readLength(frame)
		if size < 0 || size+len(c.out) > maxEarly {
			return nil, errEarly
		}
		frame = append(frame, make([]byte, size)...)
		if _, err := io.ReadFull(c.Conn, frame[lengthBytes:]); err != nil {
			return nil, unexpected(err)
		}
		if size >= classifyBytes-lengthBytes && readID(frame[lengthBytes:]) == probeID {
			return frame[classifyBytes:], nil
		}
		c.out = append(c.out, frame...)
	}
}

// finish reads the rest of a response whose beginning was handed on.
func (c *conn) finish() error {
	for c.rhas > 0 || c.rleft > 0 {
		n := c.rleft
		if n == 0 {
			n = c.headSize() - c.rhas
		}
		if n+len(c.out) > maxEarly {
			return errEarly
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(c.Conn, part); err != nil {
			return unexpected(err)
		}
		c.out = append(c.out, part...)
		if _, err := c.scan(part); err != nil {
			return err
		}
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// moveGate moves the gate, and sets the deadlines that it needs.
func (c *conn) moveGate(to gateState) {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.gate = to
	switch to {
	case gateKick:
		c.opened = make(chan struct{})
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	case gateRead:
		_ = c.Conn.SetReadDeadline(c.probeDeadline())
	case gateOpen:
		_ = c.Conn.SetReadDeadline(c.read)
		close(c.opened)
	}
}

func (c *conn) probeDeadline() time.Time {
	if c.write.IsZero() {
		return time.Now().Add(probeTimeout)
	}
	return c.write
}

func (c *conn) SetDeadline(t time.Time) error {
	return cmp.Or(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.read = t
	if c.gate == gateKick || c.gate == gateRead {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.write = t
	if c.gate == gateRead {
		_ = c.Conn.SetReadDeadline(c.probeDeadline())
	}
	return c.Conn.SetWriteDeadline(t)
}
