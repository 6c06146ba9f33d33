// Package control switches applications from one Kafka cluster to another: controllers that decide,
// plans that say what would be done, and reports of what it cost.
//
// # How it works
//
// A register ([github.com/kafkadr/kafkadr/failover/register]) says which cluster is active in a
// scope, by epoch, once an operator has begun it (register.Begin, kdr init-scope). A switch takes
// two epochs. The first closes the scope, and nobody writes anywhere. The second opens the other
// cluster, and holds where its logs ended (the forks). In between a [Controller] has fenced the old
// cluster or waited for its leases to end, stopped the copy, and seen to offsets and rights. Each
// step has a deadline and may veto. [Controller.Plan] says before what would be done, and what is
// in the way; the [Report] says what was.
//
// A [Switchover] is planned: the old cluster is alive and is drained first. A [Failover] isn't: the
// old cluster is down, or taken to be. A failback is a switchover to the cluster that was left.
//
// # States of a switch
//
//	              Plan: conflicts? -> refused, nothing changed
//	                |
//	check, tail     | veto -> nothing changed
//	                v
//	close  -------- epoch n: nobody is active; clients stop
//	fence, lease    |
//	drain, stop     | veto, deadline -> give up: epoch n+1, the old cluster is active again
//	refill, forks   |                   (where that fails: closed, and the error says how to go on)
//	offsets, rights |
//	                v
//	open   -------- epoch n+1: the new cluster is active; clients settle and go on
//
// A controller that dies in between leaves the scope closed. Another one, or a plan by hand,
// finishes the switch or gives it up.
//
// # Limits
//
// What was sent before the lease ended may arrive within the brokers' produce timeout. The recovery
// time is detection, what is left of the lease (nothing where a fence is confirmed), and the
// switch. Records of a dead client that the mirror hadn't copied are lost to the standby until the
// old cluster's tail is read; the report counts them.
package control
