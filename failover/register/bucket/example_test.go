package bucket_test

import (
	"context"
	"fmt"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
)

// An operator begins a scope; everybody reads who is active.
func Example() {
	ctx := context.Background()
	b := memblob.OpenBucket(nil) // or s3blob, gcsblob, azureblob
	defer func() { _ = b.Close() }()
	r, err := bucket.Open(ctx, b, bucket.Config{Prefix: "failover/"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := register.Begin(ctx, r, "orders", register.Epoch{Active: "east", By: "operator"}); err != nil {
		fmt.Println(err)
		return
	}
	e, err := register.Latest(ctx, r, "orders")
	fmt.Println(e.Number, e.Active, err)
	// Output: 1 east <nil>
}
