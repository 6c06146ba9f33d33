// Package failover is an application's client of whichever Kafka cluster is active.
//
// # How it works
//
// A register ([github.com/kafkadr/kafkadr/failover/register]) says which cluster is active in a
// scope, by epoch. An operator begins it, once (register.Begin, kdr init-scope); a client of a
// scope that nobody has begun gets an error. A switch takes two epochs. The first closes the scope,
// and nobody writes anywhere. The second opens the other cluster, and holds where its logs ended
// (the forks). Controllers decide and switch: [github.com/kafkadr/kafkadr/failover/control].
//
// A [Client] is kgo's client on whichever cluster is active. It sends only while it could confirm
// its epoch within the lease, which is asked for again at each write to a connection. At a switch
// it makes a new kgo client, never moves one, and settles what it had sent: records below the fork
// are there; records whose ack never came are looked for by content; the others are produced again,
// in order, or handed back, by policy.
//
// # Guarantees
//
// With an exact mirror between (package mirror), a register that all share, and [Config.Replay]:
// what a living client had acked isn't lost by a switch, and not doubled or reordered per key, but
// for what [Replay] let go. No client sends outside its lease; epochs have no gaps and never go
// back; of many controllers one writes each epoch. A planned switch loses and doubles nothing, or
// is given up.
//
// # Limits
//
// What was sent before the lease ended may arrive within the brokers' produce timeout. Records of a
// dead client that the mirror hadn't copied are lost to the standby until the old cluster's tail is
// read. Transactions end with their epoch ([ErrEpochEnded]); a transaction's atomicity across
// partitions isn't kept by a forced switch. kgo's GroupTransactSession takes a *kgo.Client and
// isn't supported. Records in doubt on LogAppendTime topics can't be recognized by their
// timestamps, and stay in doubt. Consumers may get records again that they hadn't committed, as in
// any rebalance.
package failover
