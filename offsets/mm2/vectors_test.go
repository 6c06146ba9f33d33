package mm2

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is a line of testdata/vectors.jsonl, which Kafka's own classes made.
type vector struct {
	Kind, Name                   string
	Topic, Group, Source, Target string
	Partition                    int32
	Upstream, Downstream         int64
	Timestamp                    int64
	Metadata, Key, Value         string

	MustReadToEnd         bool
	InitSyncs, LaterSyncs [][2]int64
	State                 [][3]int64
	Translate             [][2]*int64

	Identity                 bool
	Separator                string
	InternalSeparatorEnabled bool
	OffsetSyncs              string `json:"offsetSyncs(B)"`
	Checkpoints              string `json:"checkpoints(A)"`
	Heartbeats               string
	Topics                   []struct {
		T, Remote, Original string
		Source, Upstream    *string
		HB, Internal, CP    bool
	}
}

func vectors(t testing.TB, kinds ...string) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var v vector
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			if v.Kind == k {
				vs = append(vs, v)
			}
		}
	}
	if len(vs) == 0 {
		t.Fatalf("no vectors of kinds %q", kinds)
	}
	return vs
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordVectors(t *testing.T) {
	for _, v := range vectors(t, "offset-sync", "checkpoint", "heartbeat") {
		key, value := unhex(t, v.Key), unhex(t, v.Value)
		var got, want any
		var err error
		var encode func() (k, v []byte, err error)
		switch v.Kind {
		case "offset-sync":
			s := OffsetSync{v.Topic, v.Partition, v.Upstream, v.Downstream}
			want, encode = s, s.Encode
			got, err = DecodeOffsetSync(key, value)
		case "checkpoint":
			c := Checkpoint{v.Group, v.Topic, v.Partition, v.Upstream, v.Downstream, v.Metadata}
			want, encode = c, c.Encode
			got, err = DecodeCheckpoint(key, value)
		case "heartbeat":
			h := Heartbeat{v.Source, v.Target, v.Timestamp}
			want, encode = h, h.Encode
			got, err = DecodeHeartbeat(key, value)
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", v.Kind, got, err, want)
		}
		k, val, err := encode()
		if err != nil || !bytes.Equal(k, key) || !bytes.Equal(val, value) {
			t.Errorf("%+v encodes as %x, %x, %v; want %s, %s", want, k, val, err, v.Key, v.Value)
		}
	}
}

func TestStoreVectors(t *testing.T) {
	for _, v := range vectors(t, "store") {
		s := Store{Loading: v.MustReadToEnd}
		for _, o := range v.InitSyncs {
			s.Add(OffsetSync{Upstream: o[0], Downstream: o[1]})
		}
		s.Loading = false
		for _, o := range v.LaterSyncs {
			s.Add(OffsetSync{Upstream: o[0], Downstream: o[1]})
		}
		if diff := cmp.Diff(v.State, s.state()); diff != "" {
			t.Errorf("%s: state (-want +got)\n%s", v.Name, diff)
		}
		for _, tr := range v.Translate {
			got, ok := s.Translate(*tr[0])
			if ok != (tr[1] != nil) || ok && got != *tr[1] {
				t.Errorf("%s: %d is %d, %v", v.Name, *tr[0], got, ok)
			}
		}
	}
}

// state is index, upstream and downstream of each sync that differs from the one before.
func (s *Store) state() [][3]int64 {
	state := [][3]int64{}
	if s.syncs == nil {
		return state
	}
	for i, o := range s.syncs {
		if i == 0 || o != s.syncs[i-1] {
			state = append(state, [3]int64{int64(i), o.Upstream, o.Downstream})
		}
	}
	return state
}

func TestPolicyVectors(t *testing.T) {
	for _, v := range vectors(t, "policy") {
		p := Policy{Identity: v.Identity, Separator: v.Separator, DotInternal: !v.InternalSeparatorEnabled}
		if v.Identity {
			p.SourceAlias = "A"
		}
		if p.OffsetSyncs("B") != v.OffsetSyncs || p.Checkpoints("A") != v.Checkpoints || p.Heartbeats() != v.Heartbeats {
			t.Errorf("%+v: %s, %s, %s", p, p.OffsetSyncs("B"), p.Checkpoints("A"), p.Heartbeats())
		}
		for _, w := range v.Topics {
			source, remote := p.Source(w.T)
			upstream, ok := p.Upstream(w.T)
			if p.Remote("A", w.T) != w.Remote || p.Original(w.T) != w.Original || !same(w.Source, source, remote) || !same(w.Upstream, upstream, ok) {
				t.Errorf("%+v: %s: remote %s, source %q %v, upstream %q %v, original %s", p, w.T, p.Remote("A", w.T), source, remote, upstream, ok, p.Original(w.T))
			}
			if p.IsHeartbeats(w.T) != w.HB || p.IsCheckpoints(w.T) != w.CP || p.IsInternal(w.T) != w.Internal {
				t.Errorf("%+v: %s: heartbeats %v, checkpoints %v, internal %v", p, w.T, p.IsHeartbeats(w.T), p.IsCheckpoints(w.T), p.IsInternal(w.T))
			}
		}
	}
}

func same(want *string, got string, ok bool) bool {
	return ok == (want != nil) && (want == nil || *want == got)
}
