// Package lease says how long a client may go on sending to a cluster without having read the
// register again, and refuses requests after that.
//
// # Guarantee
//
// A [Lease] counts from the start of the read that confirmed it, never from its end: what the read
// saw may be as old as that. It is over when any of three clocks says so, Go's monotonic clock, the
// clock that goes on while the machine is suspended (CLOCK_BOOTTIME on Linux), and the wall clock
// where it moved forward; and a thousandth early, because clocks differ in speed. So a process that
// was stopped, a machine that was suspended and a wall clock that was set, back or forth, never
// make it longer; a wall clock set forward ends it early, until the next read.
//
// A [Conn] asks before each Kafka request it is given, and sends no byte of one that is refused.
//
// # Limits
//
// Elsewhere than on Linux a suspended machine is seen by the wall clock only. A virtual machine
// that is frozen together with all of its clocks can't see that by itself: its first sends after
// the thaw may come late, until the clock is set. What was written to a socket within the lease may
// arrive at the broker later, within the produce timeout.
//
// Who waits for somebody else's lease to end counts on the monotonic clock only, so that a wall
// clock that was set doesn't end the wait.
package lease
