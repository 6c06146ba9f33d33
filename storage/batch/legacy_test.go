package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

// old appends a message of magic 0 or 1.
func old(dst []byte, magic, attributes int8, offset, timestamp int64, key, value []byte) []byte {
	var raw []byte
	if magic == 0 {
		raw = (&kmsg.MessageV0{Offset: offset, Magic: magic, Attributes: attributes, Key: key, Value: value}).AppendTo(nil)
	} else {
		raw = (&kmsg.MessageV1{Offset: offset, Magic: magic, Attributes: attributes, Timestamp: timestamp, Key: key, Value: value}).AppendTo(nil)
	}
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[12:], crc32.ChecksumIEEE(raw[16:]))
	return append(dst, raw...)
}

func decodeAll(t *testing.T, raw []byte) (rs []*kgo.Record) {
	t.Helper()
	for b, err := range batch.All(raw) {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		got, err := batch.Decode(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, got...)
	}
	return rs
}

func TestConvertLegacy(t *testing.T) {
	k, v, empty := []byte("k"), []byte("v"), []byte{}
	inner1 := old(old(nil, 1, 0, 0, 500, k, v), 1, 0, 4, -1, nil, empty)
	inner0 := old(old(nil, 0, 0, 20, 0, k, nil), 0, 0, 23, 0, empty, v)
	is := func(offset, ts int64, key, value []byte) batchtest.Fact {
		return batchtest.Fact{Offset: offset, Timestamp: ts, Key: key, Value: value}
	}
	for name, c := range map[string]struct {
		raw  []byte
		want []batchtest.Fact
	}{
		"magic 0":                    {old(old(nil, 0, 0, 7, 0, k, v), 0, 0, 9, 0, nil, nil), []batchtest.Fact{is(7, -1, k, v), is(9, -1, nil, nil)}},
		"magic 1":                    {old(old(nil, 1, 0, 7, 123, empty, empty), 1, 8, 9, -1, nil, v), []batchtest.Fact{is(7, 123, empty, empty), is(9, -1, nil, v)}},
		"far timestamp":              {old(nil, 1, 0, 7, 1<<62, k, v), []batchtest.Fact{is(7, 1<<62, k, v)}},
		"set of magic 0":             {old(nil, 0, 1, 23, 0, nil, batchtest.Zipped(t, 1, inner0)), []batchtest.Fact{is(20, -1, k, nil), is(23, -1, empty, v)}},
		"set of magic 1, relative":   {old(nil, 1, 2, 104, 0, nil, batchtest.Zipped(t, 2, inner1)), []batchtest.Fact{is(100, 500, k, v), is(104, -1, nil, empty)}},
		"set of magic 1, wrapper 0":  {old(nil, 1, 3, 0, 0, nil, batchtest.Zipped(t, 3, inner1)), []batchtest.Fact{is(0, 500, k, v), is(4, -1, nil, empty)}},
		"set stamped by the broker":  {old(nil, 1, 1|8, 104, 999, nil, batchtest.Zipped(t, 1, inner1)), []batchtest.Fact{is(100, 999, k, v), is(104, 999, nil, empty)}},
		"before batches of magic 2":  {append(old(nil, 1, 0, 7, 123, k, v), batchtest.Plain(t, 8, 1).Raw()...), []batchtest.Fact{is(7, 123, k, v), is(8, 1700000000000, nil, []byte("value"))}},
		"behind batches of magic 2":  {old(batchtest.Plain(t, 8, 1).Raw(), 1, 0, 9, 123, k, v), []batchtest.Fact{is(8, 1700000000000, nil, []byte("value")), is(9, 123, k, v)}},
		"short message at the end":   {old(old(nil, 1, 0, 7, 123, k, v), 1, 0, 9, 123, k, v)[:60], []batchtest.Fact{is(7, 123, k, v)}},
		"short batch at the end":     {append(old(nil, 1, 0, 7, 123, k, v), batchtest.Plain(t, 8, 1).Raw()[:30]...), []batchtest.Fact{is(7, 123, k, v)}},
		"only a few bytes":           {make([]byte, 10), nil},
		"short message alone":        {old(nil, 1, 0, 7, 123, k, v)[:20], nil},
		"nothing":                    {nil, nil},
		"magic 2 alone stays itself": {batchtest.Plain(t, 8, 1).Raw(), []batchtest.Fact{is(8, 1700000000000, nil, []byte("value"))}},
	} {
		before := bytes.Clone(c.raw)
		out, err := batch.ConvertLegacy(c.raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := batchtest.Facts(decodeAll(t, out)); len(got)+len(c.want) > 0 && !reflect.DeepEqual(c.want, got) {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, got))
		}
		if !bytes.Equal(before, c.raw) {
			t.Errorf("%s: the input was changed", name)
		}
	}
}

func TestConvertLegacyKeepsCodec(t *testing.T) {
	for codec := int8(1); codec <= 3; codec++ {
		out, err := batch.ConvertLegacy(old(nil, 1, codec, 9, 0, nil, batchtest.Zipped(t, codec, old(nil, 1, 0, 0, 5, nil, []byte("v")))))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := batch.Parse(out); err != nil || b.Codec() != codec || b.BaseOffset() != 9 || b.EndOffset() != 10 {
			t.Error(b, err)
		}
	}
}

func TestConvertLegacyRefuses(t *testing.T) {
	testpass.NoRaces(t)
	good := old(nil, 1, 0, 7, 123, []byte("k"), []byte("v"))
	change := func(at int, to byte) []byte {
		raw := bytes.Clone(good)
		raw[at] = to
		return raw
	}
	set := func(inner []byte) []byte { return old(nil, 1, 1, 9, 0, nil, batchtest.Zipped(t, 1, inner)) }
	for name, raw := range map[string][]byte{
		"CRC":               change(len(good)-1, 'w'),
		"magic":             change(16, 3),
		"negative offset":   change(0, 0xff),
		"length":            change(11, 3),
		"cut set":           set(good[:30]),
		"bytes in set":      set(append(bytes.Clone(good), 1, 2, 3)),
		"empty set":         set(nil),
		"set in set":        set(set(good)),
		"set behind":        old(nil, 1, 1, 3, 0, nil, batchtest.Zipped(t, 1, good)),
		"not gzip":          old(nil, 1, 1, 3, 0, nil, good),
		"zstd":              old(nil, 1, 4, 3, 0, nil, good),
		"set goes backward": set(old(old(nil, 1, 0, 5, 0, nil, nil), 1, 0, 4, 0, nil, nil)),
		"damaged magic 2":   append(bytes.Clone(good), malformed(batchtest.Plain(t, 8, 1), func(raw []byte) { raw[23] = 0xff })...),
	} {
		out, err := batch.ConvertLegacy(raw)
		if e := new(batch.Error); !errors.As(err, &e) || out != nil {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	if _, err := batch.ConvertLegacy(old(nil, 1, 1, 3, time.Now().UnixMilli(), nil, bombs(t)[1])); err == nil {
		t.Error("a set of zeros was taken")
	}
}

// malformed is a changed copy of the batch's bytes, which needn't be a batch.
func malformed(b batch.Batch, change func(raw []byte)) []byte {
	raw := bytes.Clone(b.Raw())
	change(raw)
	return raw
}
