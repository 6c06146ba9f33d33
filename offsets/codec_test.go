package offsets

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// golden is version 1 of testMap. It is never written again: a version is read for ever.
const golden = "4b44524d41500001" + // KDRMAP, version
	"07" + "636c7573746572" + "06" + "6f7264657273" + "01000000000000000000000000000000" + "03" +
	"04" + "636f7079" + "02000000000000000000000000000000" +
	"05" + "19" + "64" + "14" + // ranges
	"02" + "05" + "05" + "04" + "05" + "00" + "02" + // runs
	"f204c503622902d76dd6d10422ef3676c45b1a1d6856a61f1afe9cee4f0d992e" // SHA-256

func TestGolden(t *testing.T) {
	want, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	b, err := testMap(t).MarshalBinary()
	if err != nil || !bytes.Equal(b, want) {
		t.Errorf("%x %v", b, err)
	}
	var m Map
	if err := m.UnmarshalBinary(want); err != nil || m.ID() != testID || m.Len() != 2 {
		t.Error(m, err)
	}
}

// TestEncodedSmall: a copy one to one, names as long as Kafka has them.
func TestEncodedSmall(t *testing.T) {
	long := strings.Repeat("t", 249)
	m, err := Identity(ID{"0123456789abcdefghijkl", long, kadm.TopicID{1}, math.MaxInt32, long, kadm.TopicID{2}}, 1e12, 1e12+1e9)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.MarshalBinary()
	if err != nil || len(b) > 1000 {
		t.Error(len(b), err)
	}
}

// TestEncodedRuns: no run takes more than 27 bytes, how far away it may be.
func TestEncodedRuns(t *testing.T) {
	m, err := New(testID, 0, 0)
	if err := errors.Join(err, m.Append(1<<61, 1<<61, 1<<61)); err != nil {
		t.Fatal(err)
	}
	one, _ := m.AppendBinary(nil)
	empty, _ := New(testID, 0, 0)
	must(empty.Extend(m.UpstreamEnd(), m.DownstreamEnd()))
	none, _ := empty.AppendBinary(nil)
	if len(one)-len(none) > 27 {
		t.Error(len(one) - len(none))
	}
}

func TestZeroMapEncodes(t *testing.T) {
	var none *Map
	for _, m := range []*Map{none, {}} {
		if b, err := m.AppendBinary([]byte("x")); err == nil || string(b) != "x" {
			t.Error(b, err)
		}
	}
}

// sealed is a map of these bytes behind the ID, with its digest.
func sealed(numbers ...uint64) []byte {
	b := binary.BigEndian.AppendUint16([]byte(mapMagic), mapVersion)
	b = appendID(b, testID)
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return seal(b)
}

func seal(b []byte) []byte {
	digest := sha256.Sum256(b)
	return append(b, digest[:]...)
}

// edited is testMap's encoding, changed and sealed again.
func edited(t testing.TB, edit func(body []byte) []byte) []byte {
	t.Helper()
	b, err := testMap(t).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return seal(edit(b[:len(b)-sha256.Size]))
}

func TestDamaged(t *testing.T) {
	const huge = math.MaxUint64
	good, _ := testMap(t).MarshalBinary()
	for name, c := range map[string]struct {
		b      []byte
		reason string
	}{
		"nothing":                {nil, "not an offset map"},
		"something else":         {[]byte("KDRSEG\x00\x01 and more of it, as long as a map is, or nearly"), "not an offset map"},
		"head alone":             {good[:headLen], "SHA-256 mismatch"},
		"cut off":                {good[:len(good)-1], "SHA-256 mismatch"},
		"a bit":                  {flip(good, headLen+3), "SHA-256 mismatch"},
		"a bit of the digest":    {flip(good, len(good)-1), "SHA-256 mismatch"},
		"more behind":            {append(bytes.Clone(good), 0), "SHA-256 mismatch"},
		"version 0":              {edited(t, func(b []byte) []byte { b[len(mapMagic)+1] = 0; return b }), "version 0"},
		"no body":                {seal(bytes.Clone(good[:headLen])), "not an integer"},
		"name cut off":           {edited(t, func(b []byte) []byte { return b[:headLen+4] }), "cut off"},
		"name without end":       {edited(t, func(b []byte) []byte { return binary.AppendUvarint(b[:headLen], math.MaxInt32) }), "cut off"},
		"name beyond all":        {edited(t, func(b []byte) []byte { return binary.AppendUvarint(b[:headLen], huge) }), "too large an integer"},
		"topic ID cut off":       {edited(t, func(b []byte) []byte { return b[:headLen+8+7+15] }), "cut off"},
		"sealed with more":       {edited(t, func(b []byte) []byte { return append(b, 0) }), "more bytes than a map has"},
		"no ranges":              {sealed(), "not an integer"},
		"start beyond all":       {sealed(math.MaxInt64+1, 0, 0, 0, 0), "too large an integer"},
		"range beyond all":       {sealed(2, math.MaxInt64-1, 0, 0, 0), "beyond the largest offset"},
		"runs without bytes":     {sealed(0, 9, 0, 9, 1), "more runs than bytes"},
		"absurd count":           {sealed(0, 9, 0, 9, math.MaxInt64, 0, 0, 0), "more runs than bytes"},
		"absurder count":         {sealed(0, 9, 0, 9, huge, 0, 0, 0), "too large an integer"},
		"run beyond the end":     {sealed(0, 9, 0, 19, 1, 1, 1, 8), "a run beyond the end"},
		"run beyond the target":  {sealed(0, 19, 0, 9, 1, 1, 1, 8), "a run beyond the end"},
		"run starts beyond":      {sealed(0, 9, 0, 9, 1, 10, 0, 0), "a run beyond the end"},
		"length beyond all":      {sealed(0, 9, 0, 9, 1, 0, 0, math.MaxInt64), "beyond the largest offset"},
		"length wraps":           {sealed(0, 9, 0, 9, 1, 0, 0, huge), "too large an integer"},
		"run's end wraps":        {sealed(1, 9, 0, 9, 1, 0, 0, math.MaxInt64-1), "beyond the largest offset"},
		"overlap: back by wrap":  {sealed(0, 9, 0, 9, 2, 0, 0, 4, huge-2, 0, 0), "too large an integer"},
		"unsorted: back by wrap": {sealed(5, 9, 5, 9, 2, 3, 3, 0, math.MaxInt64-4, math.MaxInt64-4, 0), "beyond the largest offset"},
		"two runs that are one":  {sealed(0, 9, 0, 9, 2, 0, 0, 0, 0, 0, 0), "two runs that are one"},
		"longer integer":         {edited(t, func(b []byte) []byte { return append(b[:len(b)-1], 0x82, 0) }), "not an integer"},
		"integer without end":    {edited(t, func(b []byte) []byte { return append(b[:len(b)-1], 0x82) }), "not an integer"},
		"integer of 11 bytes":    {edited(t, func(b []byte) []byte { return append(b[:len(b)-1], bytes.Repeat([]byte{0xff}, 11)...) }), "not an integer"},
	} {
		t.Run(name, func(t *testing.T) {
			m := testMap(t)
			var damage *DamageError
			if err := m.UnmarshalBinary(c.b); !errors.As(err, &damage) || damage.Reason != c.reason || damage.Position > len(c.b) {
				t.Fatal(err)
			}
			if after, _ := m.MarshalBinary(); !bytes.Equal(after, good) {
				t.Error("the map is another")
			}
		})
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 4
	return b
}

// TestLaterVersion: whatever a later version looks like behind its number.
func TestLaterVersion(t *testing.T) {
	for _, b := range []string{mapMagic + "\x00\x02", mapMagic + "\xff\xff and so on"} {
		var version *VersionError
		if err := new(Map).UnmarshalBinary([]byte(b)); !errors.As(err, &version) || version.Version != int(binary.BigEndian.Uint16([]byte(b[6:]))) {
			t.Error(err)
		}
	}
}

// FuzzUnmarshal: bytes are refused with a typed error, or are a map that is in
// order, answers, can be appended to, and encodes to the same bytes. They are tried with a right
// digest too, so that the fuzzer gets past it.
func FuzzUnmarshal(f *testing.F) {
	good, _ := testMap(f).MarshalBinary()
	f.Add(good)
	f.Add(good[:len(good)-sha256.Size])
	f.Add(sealed(0, 9, 0, 9, 2, 0, 0, 0, 0, 1, 0))
	f.Add(sealed(0, math.MaxInt64, 0, math.MaxInt64, 1, 1, 0, math.MaxInt64-2))
	many, _ := New(testID, 0, 0)
	for i := range int64(40) {
		must(many.Append(many.UpstreamEnd()+i%3, many.DownstreamEnd()+1, 1+i%5))
	}
	b, _ := many.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		checkBytes(t, b)
		checkBytes(t, seal(bytes.Clone(b)))
	})
}

func checkBytes(t *testing.T, b []byte) {
	t.Helper()
	var m Map
	if err := m.UnmarshalBinary(b); err != nil {
		var damage *DamageError
		var version *VersionError
		if m.known || !errors.As(err, &damage) && !errors.As(err, &version) {
			t.Fatalf("%+v after %#v", m, err)
		}
		return
	}
	if size := m.bytes(); size > 10*float64(len(b)) {
		t.Fatalf("%v bytes of memory for %d", size, len(b))
	}
	if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x isn't %x: %v", again, b, err)
	}
	rebuilt, err := New(m.ID(), m.UpstreamStart(), m.DownstreamStart())
	for r := range m.Runs() {
		err = errors.Join(err, rebuilt.Append(r.Upstream, r.Downstream, r.Length))
	}
	if err := errors.Join(err, rebuilt.Extend(m.UpstreamEnd(), m.DownstreamEnd())); err != nil || rebuilt.Len() != m.Len() {
		t.Fatalf("not as Append makes it: %v", err)
	}
	for r := range m.Runs() {
		for _, x := range []int64{r.Upstream - 1, r.Upstream, r.Upstream + r.Length - 1, r.Upstream + r.Length} {
			offset, how := m.Translate(x)
			if want, wantHow := rebuilt.Translate(x); offset != want || how != wantHow {
				t.Fatalf("%d: %d %s, and appended %d %s", x, offset, how, want, wantHow)
			}
		}
	}
}
