// Package standby is one partition's copy on the standby cluster: it is opened, filled and appended
// to, and knows how far it has got.
//
// A [Copy] has a lock of its own. It is held for no request, so that whoever wants to know how far
// copies have got waits for nobody. A topic's copies share a [Claim]: who makes their holes.
package standby
