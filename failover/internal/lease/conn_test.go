package lease

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire keeps what is written to it.
type wire struct {
	net.Conn
	got  bytes.Buffer
	fail error
}

func (w *wire) Write(p []byte) (int, error) {
	if w.fail != nil {
		n, _ := w.got.Write(p[:len(p)/2])
		return n, w.fail
	}
	return w.got.Write(p)
}

var errRefused = errors.New("refused")

// requests are one of each kind there is, as kgo writes them.
func requests() (all [][]byte, keys []int16) {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("application"))
	for k := range int16(kmsg.MaxKey) + 1 {
		if r := kmsg.RequestForKey(k); r != nil {
			r.SetVersion(r.MaxVersion())
			all, keys = append(all, f.AppendRequest(nil, r, int32(k))), append(keys, k)
		}
	}
	return all, keys
}

func TestConnAsks(t *testing.T) {
	all, keys := requests()
	if len(all) < 60 {
		t.Fatalf("%d kinds of requests", len(all))
	}
	var asked []int16
	w := &wire{}
	c := Conn(w, func(key int16) error {
		asked = append(asked, key)
		if key == 0 || key == 26 {
			return errRefused
		}
		return nil
	})
	var want []byte
	for i, b := range all {
		n, err := c.Write(b)
		if refused := keys[i] == 0 || keys[i] == 26; refused != errors.Is(err, errRefused) || !refused && n != len(b) || refused && n != 0 {
			t.Errorf("request %d: %d of %d bytes, %v", keys[i], n, len(b), err)
		} else if !refused {
			want = append(want, b...)
		}
	}
	if !slices.Equal(asked, keys) {
		t.Errorf("asked for %v, want %v", asked, keys)
	}
	if !bytes.Equal(w.got.Bytes(), want) {
		t.Error("other bytes were sent than those admitted")
	}
}

// TestConnSplits holds that it doesn't matter how a writer cuts its requests.
func TestConnSplits(t *testing.T) {
	all, _ := requests()
	stream := slices.Concat(append(all, []byte{0, 0, 0, 1, 9}, []byte{0, 0, 0, 0}, all[3])...)
	for size := 1; size < 40; size++ {
		w, asked := &wire{}, 0
		c := Conn(w, func(int16) error { asked++; return nil })
		for part := range slices.Chunk(stream, size) {
			if n, err := c.Write(part); n != len(part) || err != nil {
				t.Fatalf("parts of %d: %d, %v", size, n, err)
			}
		}
		if !bytes.Equal(w.got.Bytes(), stream) || asked < len(all)+1 {
			t.Fatalf("parts of %d: asked %d times; sent as written: %v", size, asked, bytes.Equal(w.got.Bytes(), stream))
		}
	}
}

func TestConnRefuses(t *testing.T) {
	all, keys := requests()
	metadata, produce := all[slices.Index(keys, 3)], all[slices.Index(keys, 0)]
	tests := map[string]struct {
		writes [][]byte
		after  int   // writes after which everything is refused; -1: Produce always is
		errs   []int // writes that fail
		sent   int   // bytes
	}{
		"whole":                        {[][]byte{produce, metadata}, -1, []int{0}, len(metadata)},
		"second of two in one":         {[][]byte{slices.Concat(metadata, produce), metadata}, -1, []int{0}, len(metadata)},
		"in its length":                {[][]byte{produce[:3], produce[3:], metadata}, -1, []int{1, 2}, 0},
		"in its key":                   {[][]byte{produce[:5], produce[5:6], metadata}, -1, []int{1, 2}, 0},
		"after another's end":          {[][]byte{slices.Concat(metadata, produce[:5]), produce[5:]}, -1, []int{1}, len(metadata)},
		"expired in the middle":        {[][]byte{produce[:9], produce[9:], metadata}, 1, []int{1, 2}, 9},
		"expired at an empty write":    {[][]byte{produce[:9], {}, produce[9:]}, 1, []int{2}, 9},
		"negative length":              {[][]byte{{0xff, 0, 0, 0, 0, 3}}, -1, []int{0}, 0},
		"length beyond what Kafka has": {[][]byte{{0x7f, 0xff, 0xff, 0xff, 0, 3}}, -1, []int{0}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, i := &wire{}, 0
			c := Conn(w, func(key int16) error {
				if tt.after < 0 && key == 0 || tt.after >= 0 && i >= tt.after {
					return errRefused
				}
				return nil
			})
			var errs []int
			for ; i < len(tt.writes); i++ {
				if _, err := c.Write(tt.writes[i]); err != nil {
					errs = append(errs, i)
				}
			}
			if d := cmp.Diff(tt.errs, errs); d != "" {
				t.Errorf("writes that failed (-want +got):\n%s", d)
			}
			if w.got.Len() != tt.sent {
				t.Errorf("%d bytes sent, want %d", w.got.Len(), tt.sent)
			}
		})
	}
}

func TestConnFails(t *testing.T) {
	all, _ := requests()
	w := &wire{fail: errors.New("cut")}
	c := Conn(w, func(int16) error { return nil })
	if n, err := c.Write(all[0]); n != len(all[0])/2 || !errors.Is(err, w.fail) {
		t.Fatalf("%d, %v", n, err)
	}
	w.fail = nil
	if _, err := c.Write(all[1]); err == nil {
		t.Fatal("a request is written behind half of another")
	}
}

// FuzzConn holds that the guard sees what the broker would, however the bytes are cut.
func FuzzConn(f *testing.F) {
	all, _ := requests()
	f.Add(slices.Concat(all[:5]...), uint8(7))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 2, 0xff}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		w := &wire{}
		c := Conn(w, func(key int16) error {
			if key == 0 {
				return errRefused
			}
			return nil
		})
		for part := range slices.Chunk(stream, int(size)+1) {
			if _, err := c.Write(part); err != nil {
				break
			}
		}
		sent := w.got.Bytes()
		if !bytes.HasPrefix(stream, sent) {
			t.Fatal("other bytes were sent than those written")
		}
		for len(sent) >= headBytes {
			n := int(int32(uint32(sent[0])<<24 | uint32(sent[1])<<16 | uint32(sent[2])<<8 | uint32(sent[3])))
			if n >= 2 && sent[4] == 0 && sent[5] == 0 {
				t.Fatal("a refused request was sent")
			}
			sent = sent[min(len(sent), lengthBytes+max(n, 0)):]
		}
	})
}
