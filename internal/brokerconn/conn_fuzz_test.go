package brokerconn

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzAnswer holds that no answer makes the guard panic or take long.
func FuzzAnswer(f *testing.F) {
	for version := range int16(14) {
		f.Add(true, version, metadata(kmsg.StringPtr(right), version))
	}
	f.Add(false, int16(0), describe(kmsg.StringPtr(right), 0))
	f.Add(false, int16(1), describe(nil, 1))
	f.Fuzz(func(t *testing.T, isMetadata bool, version int16, body []byte) {
		key := keyDescribeCluster
		if isMetadata {
			key = keyMetadata
		}
		a, err := readAnswer(key, version, body)
		if err == nil && len(a.clusterID) > len(body) {
			t.Errorf("an ID of %d bytes from %d", len(a.clusterID), len(body))
		}
	})
}

// FuzzBroker holds that no bytes of a broker make a connection panic, or read more than there is.
func FuzzBroker(f *testing.F) {
	f.Add(slices.Concat(response(0, []byte{1, 2}), response(probeID, metadata(kmsg.StringPtr(right), probeVersion)), response(1, metadata(kmsg.StringPtr(right), 9))), uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0}, uint8(1))
	f.Add([]byte{0, 0, 0, 2, 1, 1, 0, 0, 0, 4, 0x80, 0, 0, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, sends []byte, size uint8) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		go func() {
			for len(sends) > 0 {
				n := min(int(size)+1, len(sends))
				if _, err := far.Write(sends[:n]); err != nil {
					return
				}
				sends = sends[n:]
			}
			_ = far.Close()
		}()
		c := New(Config{ClusterID: right}).Conn(near, where)
		total := len(sends)
		_, err := c.Write(slices.Concat(request(kmsg.NewPtrListOffsetsRequest(), 7, 0), request(kmsg.NewPtrMetadataRequest(), 9, 1)))
		got, _ := io.ReadAll(c)
		if err == nil && len(got) > total {
			t.Errorf("read %d bytes of %d", len(got), total)
		}
	})
}

// endless is a connection that takes and gives as much as is wanted.
type endless struct {
	net.Conn
	frame []byte
	at    int
}

func (e *endless) Write(p []byte) (int, error) { return len(p), nil }
func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frame[e.at:])
	e.at = (e.at + n) % len(e.frame)
	return n, nil
}

// BenchmarkFetch reads responses of a fetch's size, without the guard and with it.
func BenchmarkFetch(b *testing.B) {
	frame := response(1, make([]byte, 1<<20))
	for _, guarded := range []bool{false, true} {
		b.Run(fmt.Sprintf("guarded=%v", guarded), func(b *testing.B) {
			var c net.Conn = &endless{frame: frame}
			if guarded {
				g := New(Config{}).Conn(c, where).(*conn)
				g.known.Store(true)
				c = g
			}
			req := request(kmsg.NewPtrFetchRequest(), 13, 1)
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Write(req)
				for left := len(frame); left > 0; {
					n, _ := c.Read(buf[:min(left, len(buf))])
					left -= n
				}
			}
		})
	}
}
