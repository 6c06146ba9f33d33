package filestore_test

import (
	"context"
	"fmt"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/storage/filestore"
)

// Objects are created once, whoever else tries.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := filestore.OpenBucket(dir, nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Close() }()
	for _, value := range []string{"first", "second"} {
		err := b.WriteAll(context.Background(), "log/1", []byte(value), &blob.WriterOptions{IfNotExist: true})
		fmt.Println(value, gcerrors.Code(err))
	}
	// Output:
	// first OK
	// second FailedPrecondition
}
