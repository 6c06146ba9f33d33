package instep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/kafkadr/kafkadr/internal/ledger"
)

// page is an entry of a list in the ledger.
type page[T any] struct {
	Items []T `json:"items"`
}

// pageItems bounds a page, so that it stays far below what a ledger's entry may have.
const pageItems = 500

// readPages reads a list from the ledger.
func readPages[T any](l Ledger, prefix string) ([]T, error) {
	var all []T
	for key, value := range l.Each(prefix) {
		var p page[T]
		if err := ledger.Decode(key, value, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
	}
	return all, nil
}

// writePages makes the list what the ledger has. Only pages that differ are written.
func writePages[T any](ctx context.Context, l Ledger, prefix string, items []T) error {
	put := map[string]any{}
	old := map[string]json.RawMessage{}
	for key, value := range l.Each(prefix) {
		old[key], put[key] = value, nil
	}
	for n := 0; len(items) > 0; n++ {
		key := fmt.Sprintf("%s%d", prefix, n)
		p := page[T]{Items: items[:min(len(items), pageItems)]}
		items = items[len(p.Items):]
		if put[key] = p; samePage(key, old[key], p) {
			delete(put, key)
		}
	}
	if len(put) == 0 {
		return nil
	}
	return l.Put(ctx, put)
}

func samePage[T any](key string, old json.RawMessage, p page[T]) bool {
	var was page[T]
	if old == nil || ledger.Decode(key, old, &was) != nil {
		return false
	}
	a, errA := json.Marshal(was)
	b, errB := json.Marshal(p)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
