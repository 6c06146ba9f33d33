package bucket_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
)

// TestScopes: who comes with a mistyped scope or prefix is told what there is; nothing is written,
// and a store that can't be listed is no other error.
func TestScopes(t *testing.T) {
	b, faults, _ := faulty(t)
	for _, c := range []struct{ prefix, scope string }{{"dr/", "shop"}, {"dr/", "billing"}, {"other/dr/", "orders"}} {
		_, err := register.Begin(t.Context(), openBucket(t, b, bucket.Config{Prefix: c.prefix}), c.scope, register.Epoch{Active: "a"})
		noError(t, err)
	}
	for name, c := range map[string]struct {
		prefix string
		want   []string
	}{
		"scope":         {"dr/", []string{"billing", "shop"}},
		"prefix":        {"rd/", []string{`billing (prefix "dr/")`, `shop (prefix "dr/")`}},
		"none":          {"", []string{`billing (prefix "dr/")`, `shop (prefix "dr/")`}},
		"deeper prefix": {"other/rd/", []string{`billing (prefix "dr/")`, `orders (prefix "other/dr/")`, `shop (prefix "dr/")`}},
	} {
		faults.Reset(nil)
		r := openBucket(t, b, bucket.Config{Prefix: c.prefix, Later: true})
		_, err := register.Active(t.Context(), r, "shoop")
		var none *register.NoScopeError
		if !errors.As(err, &none) || !slices.Equal(none.Others, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for _, op := range faults.Ops() {
			if op.Kind == faultbucket.Put {
				t.Errorf("%s: %v", name, op)
			}
		}
	}
	q, err := quorum.New(quorum.Config{Stores: []register.Store{openBucket(t, b, bucket.Config{Prefix: "1/"}), openBucket(t, b, bucket.Config{Prefix: "2/"}), openBucket(t, b, bucket.Config{Prefix: "3/"})}})
	noError(t, err)
	_, err = register.Begin(t.Context(), q, "shop", register.Epoch{Active: "a"})
	noError(t, err)
	var none *register.NoScopeError
	if _, err := register.Active(t.Context(), q, "shoop"); !errors.As(err, &none) || !slices.Equal(none.Others, []string{"shop"}) {
		t.Error(err)
	}
}
