package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/kafkadr/kafkadr/internal/ledger"
)

// FuzzDecode: any bytes are an entry, or one of the two typed errors with the key; what was decoded
// is decoded again to the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `1`, `{}`, `{"v":1}`, `{"v":2}`, `{"v":-1}`, `{"v":1e9}`, `{"v":"1"}`, `{"v":1,"v":2}`, `{"V":2}`, `{"v":1,"offset":5,"text":"x"}`,
		`{"v":1,"job":"j","map":"m","topic":"t","partition":1,"base":1,"end":9}`, `{"v":1,"n":2,"data":"AAEC"}`, `{"v":1} x`, "{\"v\":1,\"text\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, into := range []func() any{func() any { return new(note) }, func() any { return new(ledger.Restore) }} {
			got := into()
			err := ledger.Decode("k", raw, got)
			var ee *ledger.EntryError
			var ve *ledger.VersionError
			switch {
			case err == nil:
			case errors.As(err, &ee) && ee.Key == "k", errors.As(err, &ve) && ve.Key == "k" && ve.Version > ledger.Version:
				continue
			default:
				t.Fatalf("%q: %v", raw, err)
			}
			once, err := json.Marshal(got)
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			again := into()
			if err := ledger.Decode("k", once, again); err != nil {
				t.Fatalf("%q: %s: %v", raw, once, err)
			}
			if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%q: %s, then %s, %v", raw, once, twice, err)
			}
		}
	})
}
