// Package drilltest runs drills inside anybody's unit tests, in seconds and with no services: two
// in-process clusters of three brokers, a mirror between, controllers, and failover clients under a
// load that is verified.
//
//	func TestFailover(t *testing.T) {
//		for _, s := range drill.Scenarios() {
//			t.Run(s.Name, func(t *testing.T) { drilltest.Run(t, s, drilltest.Options{}) })
//		}
//	}
//
// [Options] change the clients' and controllers' configuration to one's own, [drill.Config] with
// its Open the clients altogether. [Pair] and [Mirror] can be used without a drill.
//
// # Limits
//
// The clusters are kfake: no Kafka, but a fake of one. A killed cluster is one that nobody reaches;
// its logs stay. Times are those of a process that does it all, on a machine that may be busy:
// bound them generously. The mirror is of one way: there is no failback.
package drilltest
