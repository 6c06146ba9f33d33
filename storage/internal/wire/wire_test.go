package wire_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

func Example() {
	var e wire.Encoder
	e.Uvarint(7)
	e.String("orders")
	d := wire.NewDecoder(e.B)
	fmt.Println(d.Uvarint(), d.String(), d.Done())
	// Output: 7 orders <nil>
}

func TestRoundTrip(t *testing.T) {
	s := "\xff"
	var e wire.Encoder
	e.Varint(math.MinInt64)
	e.Uvarint(math.MaxUint64)
	e.OptString(nil)
	e.OptString(&s)
	e.Bool(true)
	e.Bytes([]byte{1, 2})
	d := wire.NewDecoder(e.B)
	if d.Varint() != math.MinInt64 || d.Uvarint() != math.MaxUint64 || d.OptString() != nil || *d.OptString() != s || !d.Bool() || len(d.Bytes()) != 2 || d.Done() != nil {
		t.Fatal(d.Err())
	}
}

// TestMalformed: the first error stays, and zero values follow it.
func TestMalformed(t *testing.T) {
	for name, f := range map[string]func(d *wire.Decoder){
		"count":   func(d *wire.Decoder) { d.Count(1) },
		"int":     func(d *wire.Decoder) { d.Int(5) },
		"32 bits": func(d *wire.Decoder) { d.Varint32() },
		"bool":    func(d *wire.Decoder) { d.Bool() },
		"raw":     func(d *wire.Decoder) { d.Raw(100) },
		"left":    func(d *wire.Decoder) { d.Raw(1) },
	} {
		d := wire.NewDecoder([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})
		f(d)
		if err := d.Done(); !errors.Is(err, wire.ErrMalformed) || d.Uvarint() != 0 || d.Len() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
