package brokerconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	right    = "cluster-right"
	stranger = "cluster-other"
	where    = "kafka-1.example:9092"
)

// request is a request's bytes.
func request(req kmsg.Request, version int16, id int32) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("app")).AppendRequest(nil, req, id)
}

// response is a response's bytes.
func response(id int32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(body))) //nolint:gosec // small
	b = binary.BigEndian.AppendUint32(b, uint32(id))             //nolint:gosec // as it is sent
	return append(b, body...)
}

// broker is the other side of a connection: it reads requests and answers each.
type broker struct {
	net.Conn
	id       *string // its cluster's
	pieces   func(n int) int
	probes   int
	requests [][]byte // without the probe's
	answers  []byte   // likewise
	answer   func(h header) []byte
}

// header of a request that was read whole.
func headerOf(p []byte) header {
	h := readHeader(p)
	h.id = readID(p[classifyBytes:])
	return h
}

// send writes what is sent through a channel: a socket has buffers, a net.Pipe hasn't.
func (b *broker) send(answers <-chan []byte) {
	for resp := range answers {
		for len(resp) > 0 {
			n := min(b.pieces(len(resp)), len(resp))
			if _, err := b.Write(resp[:n]); err != nil {
				resp = nil
				break
			}
			resp = resp[n:]
		}
	}
}

// serve answers until the connection ends.
func (b *broker) serve() error {
	answers := make(chan []byte, 1000)
	var wg sync.WaitGroup
	wg.Go(func() { b.send(answers) })
	defer wg.Wait()
	defer close(answers)
	for {
		head := make([]byte, lengthBytes)
		if _, err := io.ReadFull(b, head); err != nil {
			return err
		}
		req := append(head, make([]byte, readLength(head))...)
		if _, err := io.ReadFull(b, req[lengthBytes:]); err != nil {
			return err
		}
		h := headerOf(req)
		body := b.body(h)
		if body == nil {
			continue
		}
		resp := response(h.id, body)
		if h.id == probeID {
			b.probes++
		} else {
			b.requests = append(b.requests, req)
			b.answers = append(b.answers, resp...)
		}
		answers <- resp
	}
}

func (b *broker) body(h header) []byte {
	if b.answer != nil {
		if body := b.answer(h); body != nil {
			return body
		}
	}
	switch h.key {
	case keyMetadata:
		return metadata(b.id, h.version)
	case keyDescribeCluster:
		return describe(b.id, h.version)
	}
	return bytes.Repeat([]byte{byte(h.id)}, 1+int(h.id)%97)
}

func metadata(id *string, version int16) []byte {
	resp := kmsg.NewPtrMetadataResponse()
	resp.Version, resp.ClusterID = version, id
	for i := range 3 {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = int32(i), fmt.Sprintf("kafka-%d.example", i), 9092, kmsg.StringPtr("rack")
		resp.Brokers = append(resp.Brokers, b)
	}
	if version >= metadataFlexible {
		return append([]byte{0}, resp.AppendTo(nil)...)
	}
	return resp.AppendTo(nil)
}

func describe(id *string, version int16) []byte {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.Version = version
	if id != nil {
		resp.ClusterID = *id
	}
	return append([]byte{0}, resp.AppendTo(nil)...)
}

// pair is a guarded connection and a broker of a cluster at its other end.
func pair(t *testing.T, g *Guard, b *broker) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	b.Conn = far
	if b.pieces == nil {
		b.pieces = func(n int) int { return n }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.serve()
	}()
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
		<-done
	})
	return g.Conn(near, where)
}

// writes are an opening and what follows it, as bytes.
func writes(rnd *rand.Rand) []byte {
	p := request(kmsg.NewPtrApiVersionsRequest(), 3, 0)
	p = append(p, request(kmsg.NewPtrSASLHandshakeRequest(), 1, 1)...)
	p = append(p, request(kmsg.NewPtrSASLAuthenticateRequest(), 2, 2)...)
	for id := int32(3); id < 40; id++ {
		switch rnd.IntN(5) {
		case 0:
			p = append(p, request(kmsg.NewPtrMetadataRequest(), int16(rnd.IntN(14)), id)...) //nolint:gosec // small
		case 1:
			p = append(p, request(kmsg.NewPtrDescribeClusterRequest(), int16(rnd.IntN(2)), id)...) //nolint:gosec // small
		case 2:
			p = append(p, request(kmsg.NewPtrSASLAuthenticateRequest(), 2, id)...) // again, as brokers ask for
		case 3:
			p = append(p, request(&kmsg.ProduceRequest{Acks: -1}, 9, id)...)
		default:
			p = append(p, request(kmsg.NewPtrListOffsetsRequest(), 7, id)...)
		}
	}
	return p
}

// through writes and reads by the pieces, side by side, and says what was read.
func through(t *testing.T, c net.Conn, p []byte, pieces func(n int) int) []byte {
	t.Helper()
	var wg sync.WaitGroup
	var got []byte
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf[:pieces(len(buf))])
			got = append(got, buf[:n]...)
			if err != nil {
				return
			}
		}
	})
	for len(p) > 0 {
		n := pieces(len(p))
		m, err := c.Write(p[:n])
		if err != nil || m != n {
			t.Errorf("wrote %d of %d: %v", m, n, err)
			break
		}
		p = p[n:]
	}
	synctest.Wait()
	_ = c.SetReadDeadline(time.Now())
	wg.Wait()
	return got
}

// TestPieces holds that one probe is all that is added, and nothing lost, however requests and
// responses are cut.
func TestPieces(t *testing.T) {
	for seed := range uint64(60) {
		for name, pieces := range map[string]func(rnd *rand.Rand) func(int) int{
			"whole": func(*rand.Rand) func(int) int { return func(n int) int { return n } },
			"bytes": func(*rand.Rand) func(int) int { return func(int) int { return 1 } },
			"any":   func(rnd *rand.Rand) func(int) int { return func(n int) int { return 1 + rnd.IntN(min(n, 23)) } },
		} {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var mu sync.Mutex
					cut := pieces(rand.New(rand.NewPCG(seed, 1)))
					locked := func(n int) int {
						mu.Lock()
						defer mu.Unlock()
						return cut(n)
					}
					b := &broker{id: kmsg.StringPtr(right), pieces: locked}
					sent := writes(rand.New(rand.NewPCG(seed, 2)))
					c := pair(t, New(Config{ClusterID: right}), b)
					got := through(t, c, sent, locked)
					if !bytes.Equal(slices.Concat(b.requests...), sent) {
						t.Errorf("the broker got other requests than were written")
					}
					if !bytes.Equal(got, b.answers) {
						t.Errorf("read %d bytes, the broker answered %d", len(got), len(b.answers))
					}
					if b.probes != 1 {
						t.Errorf("%d probes", b.probes)
					}
				})
			})
		}
	}
}

// TestStranger holds that a stranger gets nothing but the opening and the probe, and that the
// writer learns who it is.
func TestStranger(t *testing.T) {
	for _, id := range []*string{kmsg.StringPtr(stranger), nil} {
		synctest.Test(t, func(t *testing.T) {
			var told []*WrongClusterError
			g := New(Config{ClusterID: right, OnWrong: func(err *WrongClusterError) { told = append(told, err) }})
			b := &broker{id: id}
			c := pair(t, g, b)
			go func() { _, _ = io.Copy(io.Discard, c) }()
			if _, err := c.Write(request(kmsg.NewPtrApiVersionsRequest(), 3, 0)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Write(request(&kmsg.ProduceRequest{Acks: -1}, 9, 1))
			var wrong *WrongClusterError
			var op *net.OpError
			if n != 0 || !errors.As(err, &wrong) || !errors.As(err, &op) || op.Op != "dial" {
				t.Fatalf("wrote %d: %v", n, err)
			}
			want := WrongClusterError{Want: right, Addr: where}
			if id != nil {
				want.Got = *id
			}
			if *wrong != want {
				t.Errorf("error %+v, want %+v", *wrong, want)
			}
			synctest.Wait()
			if len(b.requests) != 1 || b.probes != 1 {
				t.Errorf("the stranger got %d requests and %d probes", len(b.requests), b.probes)
			}
			if _, again := c.Write([]byte{0}); !errors.Is(again, err) {
				t.Errorf("the connection goes on: %v", again)
			}
			if got, _ := g.Wrong(); got != nil {
				t.Errorf("%v counts for the cluster at once", got)
			}
			time.Sleep(settle) //nolint:forbidigo // simulated time
			if got, silent := g.Wrong(); got != wrong || silent < settle {
				t.Errorf("Wrong() is %v, %v", got, silent)
			}
			if len(told) != 1 || len(g.Strangers()) != 1 {
				t.Errorf("told %v, strangers %v", told, g.Strangers())
			}
		})
	}
}

// TestLaterAnswers holds that each later answer is looked at, before any of it is handed on.
func TestLaterAnswers(t *testing.T) {
	for _, req := range []kmsg.Request{kmsg.NewPtrMetadataRequest(), kmsg.NewPtrDescribeClusterRequest()} {
		for version := int16(0); version <= req.MaxVersion(); version++ {
			if req.Key() == keyMetadata && version < metadataID {
				continue
			}
			for _, size := range []int{1, 7, 8, 9, 1 << 10} {
				synctest.Test(t, func(t *testing.T) {
					cut := func(n int) int { return min(n, size) }
					b := &broker{id: kmsg.StringPtr(right), pieces: cut}
					b.answer = func(h header) []byte {
						switch other := kmsg.StringPtr(stranger); {
						case h.id != 1:
							return nil
						case h.key == keyMetadata:
							return metadata(other, h.version)
						default:
							return describe(other, h.version)
						}
					}
					c := pair(t, New(Config{}), b)
					if _, err := c.Write(slices.Concat(request(kmsg.NewPtrListOffsetsRequest(), 7, 0), request(req, version, 1))); err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(c)
					var wrong *WrongClusterError
					if !errors.As(err, &wrong) || wrong.Want != right || wrong.Got != stranger {
						t.Fatalf("version %d: %v", version, err)
					}
					if bytes.Contains(got, []byte("kafka-1.example")) {
						t.Errorf("%s version %d: the stranger's answer was handed on", kmsg.NameForKey(req.Key()), version)
					}
				})
			}
		}
	}
}

// TestUnknown holds that a broker without a cluster ID is let through where none is known, and that
// this is said.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := 0
		g := New(Config{OnUnknown: func(string) { said++ }})
		c := pair(t, g, &broker{})
		sent := writes(rand.New(rand.NewPCG(1, 1)))
		through(t, c, sent, func(n int) int { return n })
		if said != 1 || g.ID() != "" {
			t.Errorf("said %d times, ID %q", said, g.ID())
		}
	})
}

// TestDeadlines holds that the write deadline bounds the probe, also one that is set meanwhile, and
// that the reader's is its own.
func TestDeadlines(t *testing.T) {
	for name, set := range map[string]func(c net.Conn){
		"before":  func(c net.Conn) { _ = c.SetWriteDeadline(time.Now().Add(3 * time.Second)) },
		"during":  func(c net.Conn) { time.AfterFunc(3*time.Second, func() { _ = c.SetDeadline(time.Now()) }) },
		"without": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				defer near.Close()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				c := New(Config{}).Conn(near, where)
				read := make(chan error, 1)
				go func() {
					_, err := c.Read(make([]byte, 1))
					read <- err
				}()
				synctest.Wait()
				set(c)
				begun := time.Now()
				_, err := c.Write(request(kmsg.NewPtrListOffsetsRequest(), 7, 0))
				want := 3 * time.Second
				if name == "without" {
					want = probeTimeout
				}
				if took := time.Since(begun); !errors.Is(err, os.ErrDeadlineExceeded) || took != want {
					t.Errorf("%v after %v, want the deadline after %v", err, took, want)
				}
				if err := <-read; err == nil {
					t.Error("the reader reads on")
				}
			})
		})
	}
}

// TestReaderKeepsItsDeadline holds that a reader that waited before the probe goes on after it,
// until its own deadline.
func TestReaderKeepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{id: kmsg.StringPtr(right), answer: func(h header) []byte {
			if h.key == keyMetadata {
				time.Sleep(2 * time.Second) //nolint:forbidigo // simulated time
			}
			return nil
		}}
		c := pair(t, New(Config{}), b)
		begun := time.Now()
		_ = c.SetReadDeadline(begun.Add(5 * time.Second))
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(c)
			read <- err
		}()
		synctest.Wait()
		if _, err := c.Write(request(kmsg.NewPtrListOffsetsRequest(), 7, 0)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("the first request took %v, want the probe's 2 s", took)
		}
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("the reader ends after %v: %v", time.Since(begun), err)
		}
	})
}

// TestEndsAtFirst holds that a broker that hangs up on the first request is told by the reader, as
// without a guard: kgo says then that SASL may be missing.
func TestEndsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			_, _ = io.ReadFull(far, make([]byte, 10))
			_ = far.Close()
		}()
		c := New(Config{}).Conn(near, where)
		req := request(kmsg.NewPtrListOffsetsRequest(), 7, 0)
		n, err := c.Write(req)
		if errors.Is(err, io.ErrClosedPipe) { // net.Pipe's own, of a half-written probe
			return
		}
		if n != len(req) || err != nil {
			t.Fatalf("wrote %d: %v", n, err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // kgo compares so
			t.Errorf("read: %v", err)
		}
	})
}

// TestTokens holds that tokens of SASL handshake version 0 pass, which have no header.
func TestTokens(t *testing.T) {
	for _, token := range []string{"\x00user\x00secret", "\x00a\x00b", "n,,n=user,r=abc", "", "`\x82\x01\x02"} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			got := make(chan []byte, 1)
			go func() {
				all, _ := io.ReadAll(far)
				got <- all
			}()
			c := New(Config{}).Conn(near, where)
			frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...) //nolint:gosec // small
			sent := slices.Concat(request(kmsg.NewPtrSASLHandshakeRequest(), 0, 0), frame)
			for i := range sent {
				if _, err := c.Write(sent[i : i+1]); err != nil {
					t.Fatal(err)
				}
			}
			_ = near.Close()
			if all := <-got; !bytes.Equal(all, sent) {
				t.Errorf("token %q: got %q", token, all)
			}
		})
	}
}
