// Package failover moves applications from one Kafka cluster to another: a client that follows, controllers that decide and switch, and a report of what it cost.
//
// # How it works
//
// A register ([github.com/kafkadr/kafkadr/failover/register]) says which cluster is active in a scope, by epoch. A switch takes two epochs: the first closes, and nobody writes anywhere; the
// second opens the other cluster, and holds where its logs ended (the forks). In between a [Controller] has fenced the old cluster or waited for its leases to end, stopped the copy, and seen to
// offsets and rights. Each step has a deadline and may veto; [Controller.Plan] says before what would be done, and what is in the way; the [Report] says what was.
//
// A [Client] is kgo's client on whichever cluster is active. It sends only while it could confirm its epoch within the lease, which is asked for again at each write to a connection.
// At a switch it makes a new kgo client, never moves one, and settles what it had sent: records below the fork are there; records whose ack never came are looked for by content;
// the others are produced again, in order, or handed back, by policy.
//
// # Guarantees
//
// With an exact mirror between (package mirror), a register that all share, and [Config.Replay]: what a living client had acked isn't lost by a switch, and not doubled or reordered per key, but
// for what [Replay] let go. No client sends outside its lease; epochs have no gaps and never go back; of many controllers one writes each epoch. A planned switch loses and doubles nothing, or is given up.
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
// A controller that dies in between leaves the scope closed: another one, or a plan by hand, finishes the switch or gives it up.
//
// # Limits
//
// What was sent before the lease ended may arrive within the brokers' produce timeout. The recovery time is detection, what is left of the lease (nothing where a fence is confirmed), and the switch.
// Records of a dead client that the mirror hadn't copied are lost to the standby until the old cluster's tail is read; the report counts them. Transactions end with their epoch ([ErrEpochEnded]);
// a transaction's atomicity across partitions isn't kept by a forced switch. kgo's GroupTransactSession takes a *kgo.Client and isn't supported. Records in doubt on LogAppendTime
// topics can't be recognized by their timestamps, and stay in doubt. Consumers may get records again that they hadn't committed, as in any rebalance.
package failover
