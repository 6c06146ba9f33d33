package register_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/register"
)

// TestNoScope: a scope that nobody has begun is an error that names those that there are, and that
// no epoch is.
func TestNoScope(t *testing.T) {
	r := register.NewMemory()
	for _, scope := range []string{"shop", "billing"} {
		_, err := register.Begin(t.Context(), r, scope, register.Epoch{Active: "a"})
		noError(t, err)
	}
	_, err := register.Active(t.Context(), r, "shoop")
	var none *register.NoScopeError
	if !errors.As(err, &none) || !errors.Is(err, register.ErrNoEpoch) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"billing", "shop"}, none.Others); diff != "" {
		t.Error(diff)
	}
	if e, err := register.Active(t.Context(), r, "shop"); err != nil || e.Number != 1 {
		t.Error(e, err)
	}
	var other *register.NoScopeError
	if _, err := register.Active(t.Context(), &counting{Register: r, fail: 1}, "shop"); !errors.Is(err, errDown) || errors.As(err, &other) {
		t.Error(err)
	}
}

// TestMembers: what an epoch says of the scope's clusters is sound.
func TestMembers(t *testing.T) {
	a, b := register.Member{Name: "a", ID: "1"}, register.Member{Name: "b", ID: "2"}
	for name, c := range map[string]struct {
		members []register.Member
		id      string
		wrong   bool
	}{
		"none":              {nil, "", false},
		"both":              {[]register.Member{a, b}, "1", false},
		"one ID":            {[]register.Member{a, {Name: "b"}}, "1", false},
		"no ID":             {[]register.Member{{Name: "a"}, {Name: "b"}}, "", false},
		"order":             {[]register.Member{b, a}, "1", true},
		"twice":             {[]register.Member{a, {Name: "a", ID: "2"}}, "1", true},
		"the same cluster":  {[]register.Member{a, {Name: "b", ID: "1"}}, "1", true},
		"two IDs":           {[]register.Member{a, b}, "3", true},
		"without a name":    {[]register.Member{{ID: "1"}, a}, "", true},
		"without the actor": {[]register.Member{b}, "", true},
	} {
		e := first("s")
		e.Clusters, e.ActiveID = c.members, c.id
		raw, err := register.Encode(e)
		if (err != nil) != c.wrong {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := register.Decode("key", "s", 1, raw); !c.wrong && (err != nil || !got.Equal(e)) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestChange: a scope's values change by a pair of epochs that stay; a shorter lease is waited for
// before the next change; a change whose writer died is finished.
func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := register.NewMemory()
		e, err := register.Begin(t.Context(), r, "s", register.Epoch{Active: "a", Lease: time.Minute})
		noError(t, err)
		values := register.Epoch{Lease: 10 * time.Second, Clusters: []register.Member{{Name: "a", ID: "1"}, {Name: "b"}}, By: "operator", Reason: "shorter"}
		start := time.Now()
		e, err = register.Change(t.Context(), r, e, values)
		noError(t, err)
		if e.Number != 3 || e.Active != "a" || e.ActiveID != "1" || e.Lease != 10*time.Second || !e.Stays || time.Since(start) > 0 {
			t.Errorf("%+v after %v", e, time.Since(start))
		}
		if waited, err := register.Waited(t.Context(), r, e); err != nil || waited != time.Minute {
			t.Error(waited, err)
		}
		values.Lease = time.Second
		e, err = register.Change(t.Context(), r, e, values)
		noError(t, err)
		if took := time.Since(start); took != time.Minute || e.Number != 5 || e.Lease != time.Second {
			t.Errorf("%+v after %v", e, took)
		}
		closing, err := register.Advance(t.Context(), r, e, register.Epoch{From: "a", Target: "b", Switch: "died", Stays: true})
		noError(t, err)
		values.Lease = 2 * time.Second
		if e, err = register.Change(t.Context(), r, closing, values); err != nil || e.Number != 7 || e.Lease != 2*time.Second || e.Active != "a" {
			t.Errorf("%+v, %v", e, err)
		}
		closing, err = register.Advance(t.Context(), r, e, register.Epoch{From: "a", Target: "b", Switch: "another's"})
		noError(t, err)
		var invalid *register.InvalidError
		if _, err := register.Change(t.Context(), r, closing, values); !errors.As(err, &invalid) {
			t.Error(err)
		}
		if _, err := register.Advance(t.Context(), r, register.Epoch{Scope: "s", Number: 1, From: "a", Target: "b", Switch: "x", Stays: true}, register.Epoch{Active: "b", From: "a", Target: "b", Switch: "x", Stays: true}); !errors.As(err, &invalid) {
			t.Error(err)
		}
	})
}
