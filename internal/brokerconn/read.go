package brokerconn

import (
	"fmt"
	"slices"
)

func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.readOnce(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// readOnce reads once. It returns nothing where a deadline was the writer's, or an answer is held
// back.
func (c *conn) readOnce(p []byte) (int, error) {
	if c.passGate(); !c.rmu.TryLock() {
		c.passGate() // the writer has moved it before it took rmu
		c.rmu.Lock()
	}
	defer c.rmu.Unlock()
	if len(c.out) > 0 {
		n := copy(p, c.out)
		if c.out = c.out[n:]; len(c.out) == 0 {
			c.out = nil
		}
		return n, nil
	}
	if err := c.err(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		var bad error
		if n, bad = c.scan(p[:n]); bad != nil {
			return n, c.fail(bad)
		}
	}
	if err != nil && c.kicked() {
		err = nil
	}
	if broken := c.err(); err != nil && broken != nil {
		err = broken
	}
	return n, err
}

// passGate waits while the writer reads.
func (c *conn) passGate() {
	if c.known.Load() {
		return
	}
	c.dmu.Lock()
	opened := c.opened
	c.dmu.Unlock()
	if opened != nil {
		<-opened
	}
}

// kicked says whether the writer wants to read.
func (c *conn) kicked() bool {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	return c.gate == gateKick
}

// scan goes over what was read, and says how much of it may be handed on; the rest is held back, or
// put after it in out. An answer that tells another cluster's ID is an error.
func (c *conn) scan(p []byte) (int, error) {
	i := 0
	for i < len(p) {
		switch {
		case c.missing > 0: // only at the beginning of p
			n := min(c.missing, len(p))
			c.held = append(c.held, p[:n]...)
			c.missing -= n
			if c.missing > 0 {
				return 0, nil
			}
			return 0, c.release(p[n:])
		case c.rleft > 0:
			n := min(c.rleft, len(p)-i)
			c.rleft, i = c.rleft-n, i+n
		default:
			n := copy(c.rhead[c.rhas:c.headSize()], p[i:])
			c.rhas, i = c.rhas+n, i+n
			if !c.headed() || !c.isLookedAt() {
				continue
			}
			if len(p)-i < c.rleft {
				c.hold(p[i:])
				return i, nil
			}
			if err := c.look(p[i : i+c.rleft]); err != nil {
				return i, err
			}
			i, c.rleft = i+c.rleft, 0
		}
	}
	return i, nil
}

// hold keeps the beginning of an answer until the rest has come.
func (c *conn) hold(p []byte) {
	c.held = append(make([]byte, 0, min(c.rleft, maxEarly)), p...)
	c.missing, c.rleft = c.rleft-len(p), 0
}

// release looks at an answer that was held back, and hands it on before what was read behind it.
func (c *conn) release(behind []byte) error {
	held := c.held
	c.held = nil
	if err := c.look(held); err != nil {
		return err
	}
	n, err := c.scan(behind)
	c.out = slices.Concat(held, behind[:n])
	return err
}

// headSize is how many bytes of a response are looked at: its length, and its correlation ID if it
// is as long.
func (c *conn) headSize() int {
	if c.rhas < lengthBytes || readLength(c.rhead[:]) < classifyBytes-lengthBytes {
		return lengthBytes
	}
	return classifyBytes
}

// headed says whether the header of a response is whole; then rleft is what follows it.
func (c *conn) headed() bool {
	size := c.headSize()
	if c.rhas < size {
		return false
	}
	c.rleft = max(readLength(c.rhead[:])+lengthBytes-size, 0)
	c.rhas = 0
	return true
}

// isLookedAt says whether the response whose header was read tells the cluster ID. Any other is the
// right cluster's.
func (c *conn) isLookedAt() bool {
	if c.rleft == 0 || !c.known.Load() {
		return false
	}
	var ok bool
	if c.looking, ok = c.answers(readID(c.rhead[lengthBytes:])); !ok {
		c.guard.hear()
	}
	return ok
}

// look judges an answer that came later than the probe's.
func (c *conn) look(body []byte) error {
	a, err := readAnswer(c.looking.key, c.looking.version, body)
	if err != nil {
		return fmt.Errorf("%w: key %d version %d", err, c.looking.key, c.looking.version)
	}
	return c.guard.judge(c.addr, a, false)
}
