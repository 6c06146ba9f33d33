// Package registertest checks that a register can say who is active.
//
// Run is the conformance suite for anyone's [register.Register]: epochs are created once, one after
// another, at the same time and through several handles; a conflict carries the winner; what was
// written or read is there for every later read; scopes don't meet; epochs of 10 000 forks come
// back whole; calls end with their context.
package registertest
