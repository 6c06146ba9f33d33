package registertest_test

import "fmt"

// A driver's test hands Run a function that opens its register:
//
//	func TestConformance(t *testing.T) {
//		server := startServer(t)
//		registertest.Run(t, func(t testing.TB) register.Register {
//			return myregister.Open(server.Address, t.Name()) // a register of the test's own, another handle each time
//		})
//	}
func Example() {
	fmt.Println("go test -run TestConformance")
	// Output: go test -run TestConformance
}
