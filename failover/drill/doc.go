// Package drill makes a disaster on purpose and measures what it costs: a load of records that are
// numbered, a fault, controllers and clients that have to cope with it, and afterwards a count of
// what was lost, doubled and reordered, by reading the log of whoever is active.
//
// # Guarantee
//
// What [Counts] says is exact for the records of the drill: every one that was acked and isn't in
// the log is counted as lost, every copy as doubled, every one that lies behind a later one of its
// key as reordered. Records whose ack never came are in doubt, and are right either way. A drill
// that is cut short by its timeout fails, and says what it waited for. Faults are healed when [Run]
// returns, whatever happened.
//
// # Scenarios
//
// A [Scenario] is data: faults with their times, who ought to be active at the end, and what it may
// cost. [Scenarios] are built in; [Parse] reads others from JSON:
//
//	{
//	  "name": "primary_killed",
//	  "expect": "switch",
//	  "faults": [{"kind": "kill", "on": "primary", "after": "1s"}],
//	  "budgets": {"rto": "5s", "lost": 0}
//	}
//
// An [Injector] makes the faults happen. [Network] does so for any cluster, on the connections of
// the clients that dial through it; package drilltest has in-process clusters whose brokers really
// go; faults on the register are made by [Run] itself.
//
// # Times
//
// The recovery time counts from the first fault, or the command of a planned switchover: until the
// register has closed the old epoch (detection included), until it has opened the new one, until
// the standby has acked a record, until a consumer got one that was sent there. Beside it stands
// the longest pause between two acks, and the RPO: acked records that weren't on the standby when
// it became active. Those may be replayed by the producers that still have them; then RPO isn't
// loss.
//
// # Limits
//
// The count stands for the drill's own topics and keys. A key keeps its partition: topics must not
// get more partitions meanwhile. Compacted topics, or such whose retention takes records during the
// drill, show records as lost that were deleted. Transactions aren't drilled. Memory grows with the
// keys and with the holes that a disaster leaves in their sequences, not with the records.
//
// Everything runs in one process with one clock. A client on a machine of its own has its own, and
// a drill of many machines needs their evidence merged.
package drill
