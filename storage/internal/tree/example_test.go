package tree_test

import (
	"context"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
)

// A map is written, changed and written again; its first state is still there.
func Example() {
	ctx := context.Background()
	var stored []byte
	load := func(_ context.Context, r tree.Ref) ([]byte, error) { return stored[r.Position:][:r.Length], nil }
	put := func(raw []byte) (tree.Ref, error) {
		r := tree.Ref{Position: int64(len(stored))}
		stored = append(stored, raw...)
		return r, nil
	}
	t := tree.At(load, tree.Ref{})
	_ = t.Set(ctx, []byte("key"), []byte("first"))
	first, _ := t.Write(put)
	_ = t.Set(ctx, []byte("key"), []byte("second"))
	second, _ := t.Write(put)
	for _, root := range []tree.Ref{first, second} {
		value, _, _ := tree.At(load, root).Get(ctx, []byte("key"))
		fmt.Println(string(value))
	}
	// Output:
	// first
	// second
}
