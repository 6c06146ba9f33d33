package ledger

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// FuzzRead: whatever bytes the topic's log has, reading them ends with entries that are counted
// right, or with a *TopicError; what is asked of them afterwards answers or says why not. A record
// of the fuzzer's own, in a sound batch, comes behind them.
func FuzzRead(f *testing.F) {
	const prefix = "map/c/t/0/j/"
	encoded := func(offset int64, key, value []byte) []byte {
		raw, err := batch.Append(nil, offset, kgo.NoCompression(), &kgo.Record{Key: key, Value: value})
		if err != nil {
			f.Fatal(err)
		}
		return raw
	}
	sound := encoded(0, []byte("k"), []byte(`{"v":1}`))
	f.Add([]byte(nil), []byte(prefix+"000000"), []byte(`{"v":1,"chunks":2,"data":"AAEC"}`))
	f.Add(sound, []byte("k"), []byte(nil))
	f.Add(sound[:len(sound)-1], []byte("restore/j/t/0"), []byte(`{"v":1,"job":"j","target_topic":"t"}`))
	f.Add(append(sound[:len(sound):len(sound)], sound...), []byte(prefix+"000000"), []byte(`{"v":1,"chunks":-1}`))
	f.Add(sound, []byte("\xff"), []byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, raw, key, value []byte) {
		l := &Ledger{reading: make(turn, 1), writing: make(turn, 1), entries: map[string]entry{}}
		var te *TopicError
		if err := l.batches(raw); err != nil && !errors.As(err, &te) {
			t.Fatal(err)
		}
		if l.next >= 0 && l.next < 1<<62 {
			own, err := batch.Append(nil, l.next, kgo.NoCompression(), &kgo.Record{Key: key, Value: value})
			if err != nil {
				t.Skip(err)
			}
			if err := l.batches(own); err != nil && !errors.As(err, &te) {
				t.Fatal(err)
			}
		}
		n := 0
		for k, e := range l.entries {
			n += len(k) + len(e.value)
		}
		if n != l.bytes {
			t.Fatalf("%d bytes of entries, counted %d", n, l.bytes)
		}
		if rs, err := l.Restores(); err != nil && len(rs) == len(l.entries) {
			t.Fatal(err)
		}
		if _, ok, err := l.Map(prefix); ok && err != nil {
			t.Fatal(err)
		}
	})
}
