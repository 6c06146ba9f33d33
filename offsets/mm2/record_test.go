package mm2

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRecordFaults(t *testing.T) {
	key, value, err := Checkpoint{Group: "g", Topic: "t", Partition: 1, Upstream: 5, Downstream: 4, Metadata: "m"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeCheckpoint(key, nil); !errors.Is(err, ErrTombstone) {
		t.Errorf("a tombstone: %v", err)
	}
	later := append([]byte{0, 1}, append(bytes.Clone(value[2:]), "trailing"...)...)
	if c, err := DecodeCheckpoint(append(bytes.Clone(key), 9), later); err != nil || c.Upstream != 5 || c.Metadata != "m" {
		t.Errorf("version 1 with trailing bytes: %+v, %v", c, err)
	}
	for n := range len(key) {
		wantFormat(t, "key", n, second(DecodeCheckpoint(key[:n], value)))
	}
	for n := range len(value) {
		wantFormat(t, "value", n, second(DecodeCheckpoint(key, append([]byte{}, value[:n]...))))
	}
	wantFormat(t, "negative length", -1, second(DecodeCheckpoint([]byte{0xff, 0xff, 0, 0}, value)))
	wantFormat(t, "negative partition", -1, second(DecodeOffsetSync([]byte{0, 1, 't', 0xff, 0, 0, 0}, make([]byte, 16))))
	wantFormat(t, "junk", -1, second(DecodeHeartbeat([]byte("junk"), []byte("junk"))))
	long := strings.Repeat("x", 1<<15)
	for _, e := range []encoder{Checkpoint{Group: long}, Checkpoint{Metadata: long}, OffsetSync{Topic: long}, Heartbeat{Target: long}} {
		_, _, err := e.Encode()
		wantFormat(t, "too long", -1, err)
	}
}

func second[T any](_ T, err error) error { return err }

func wantFormat(t *testing.T, what string, n int, err error) {
	t.Helper()
	var f *FormatError
	if !errors.As(err, &f) || f.Error() == "" {
		t.Errorf("%s %d: %v, want a FormatError", what, n, err)
	}
}

func TestConnectFaults(t *testing.T) {
	const key = `["MirrorSourceConnector",{"topic":"a<b","cluster":"A","partition":3,"more":[1]}]`
	c, err := DecodeConnectOffset([]byte(key), []byte(`{"more":{},"offset":7}`))
	if want := (ConnectOffset{"MirrorSourceConnector", "A", "a<b", 3, 7}); err != nil || c != want {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
	for _, value := range [][]byte{nil, []byte("null")} {
		if c, err := DecodeConnectOffset([]byte(key), value); err != nil || c.Offset != -1 {
			t.Errorf("value %q: %+v, %v; want -1", value, c, err)
		}
	}
	if k, v, err := (ConnectOffset{"c", "A", "a<b", 3, -1}).Encode(); err != nil || v != nil || string(k) != `["c",{"cluster":"A","partition":3,"topic":"a<b"}]` {
		t.Errorf("%s, %s, %v", k, v, err)
	}
	for _, key := range []string{``, `{}`, `["a"]`, `["a",{},1]`, `[1,{}]`, `["a",[]]`, `["a",{"cluster":"A","partition":-1,"topic":"t"}]`, `["a",{"cluster":"A","partition":4294967296,"topic":"t"}]`} {
		wantFormat(t, key, -1, second(DecodeConnectOffset([]byte(key), nil)))
	}
	for _, value := range []string{``, `{}`, `[]`, `{"offset":-5}`, `{"offset":"7"}`, `{"offset":1e30}`} {
		wantFormat(t, value, -1, second(DecodeConnectOffset([]byte(key), []byte(value))))
	}
	if _, err := DecodeConnectOffset([]byte(`["MirrorHeartbeatConnector",{"sourceClusterAlias":"A","targetClusterAlias":"B"}]`), []byte(`{"offset":0}`)); !errors.Is(err, ErrOtherConnector) {
		t.Errorf("heartbeat connector: %v", err)
	}
}

func TestOldInternal(t *testing.T) {
	for topic, want := range map[string]bool{"foo.internal": true, "foo-internal": true, "__x": true, ".x": true, "mm2-offsets.A.internal": true, "orders": false} {
		if got := (Policy{OldInternal: true}).IsInternal(topic); got != want {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	if (Policy{}).IsInternal("foo.internal") {
		t.Error("foo.internal is internal to release 4")
	}
}

func FuzzRecords(f *testing.F) {
	for _, v := range vectors(f, "offset-sync", "checkpoint", "heartbeat") {
		f.Add(unhex(f, v.Key), unhex(f, v.Value))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		roundTrip(t, DecodeOffsetSync, key, value)
		roundTrip(t, DecodeCheckpoint, key, value)
		roundTrip(t, DecodeHeartbeat, key, value)
	})
}

func FuzzConnectOffset(f *testing.F) {
	f.Add([]byte(`["MirrorSourceConnector",{"cluster":"A","partition":0,"topic":"orders"}]`), []byte(`{"offset":9999}`))
	f.Add([]byte(`["MirrorCheckpointConnector",{"partition":1,"topic":"orders","group":"g"}]`), []byte(`{"offset":0}`))
	f.Fuzz(func(t *testing.T, key, value []byte) { roundTrip(t, DecodeConnectOffset, key, value) })
}

// roundTrip holds that what decodes encodes to what decodes to the same, and that errors are typed.
func roundTrip[E interface {
	encoder
	comparable
}](t *testing.T, decode func(key, value []byte) (E, error), key, value []byte) {
	t.Helper()
	e, err := decode(key, value)
	if err != nil {
		var fault *FormatError
		if !errors.As(err, &fault) && !errors.Is(err, ErrTombstone) && !errors.Is(err, ErrOtherConnector) {
			t.Errorf("untyped: %v", err)
		}
		return
	}
	k, v, err := e.Encode()
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	if again, err := decode(k, v); err != nil || again != e {
		t.Errorf("%+v became %+v, %v", e, again, err)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, v := range vectors(f, "policy") {
		for _, w := range v.Topics {
			f.Add(w.T, v.Separator, v.Identity)
		}
	}
	f.Fuzz(func(t *testing.T, topic, separator string, identity bool) {
		p := Policy{Identity: identity, Separator: separator, SourceAlias: "A"}
		remote := p.Remote("A", topic)
		if up, ok := p.Upstream(remote); p.keeps(topic) && (!ok || up != topic) {
			t.Errorf("%q is %q of %q", up, remote, topic)
		}
		_ = p.Original(topic)
		_ = p.IsInternal(topic)
	})
}
