package storagetest_test

import "fmt"

// A driver's test hands Run a function that opens its bucket:
//
//	func TestConformance(t *testing.T) {
//		dirs := map[*testing.T]string{}
//		storagetest.Run(t, func(t *testing.T) *blob.Bucket {
//			if dirs[t] == "" {
//				dirs[t] = t.TempDir()
//			}
//			b, err := filestore.OpenBucket(dirs[t], nil)
//			…
//			return b
//		})
//	}
func Example() {
	fmt.Println("go test -run TestConformance")
	// Output: go test -run TestConformance
}
