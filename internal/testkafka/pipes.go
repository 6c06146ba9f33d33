package testkafka

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// DialVirtual dials in a network in memory. Connections end as TCP's do: kgo gives a record up at
// the error of a closed pipe, and tries it again at a reset.
func DialVirtual(vn *kfake.VirtualNetwork) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := vn.DialContext(ctx, network, addr)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		return tcpLike{c}, nil
	}
}

type tcpLike struct{ net.Conn }

func (c tcpLike) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, reset("read", err)
}

func (c tcpLike) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, reset("write", err)
}

func reset(op string, err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}
