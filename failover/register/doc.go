// Package register says which cluster is active, by epoch.
//
// A [Register] is a log of epochs for each scope, created one by one and never changed. It is where
// controllers meet: of many that want to move a scope one creates the next epoch, and the others
// get a [ConflictError] with it. Clients poll for the next epoch ([Next]) and take their lease from
// it. On top of Get and Create, all that a register does, stand [Begin], [Active], [Latest],
// [Advance], [Change] and [History]. Only an operator begins a scope: clients and controllers that
// find none ([Active]) get a [NoScopeError].
//
// # Guarantee
//
// Registers are linearizable: an epoch that somebody has created or read is there, the same, for
// every read that begins afterwards, in every process. An error that matches [ErrNoEpoch] says that
// the epoch wasn't there when the call began; no other error says anything about it. Numbers have
// no gaps as long as epochs are written by Begin and Advance, which also hold the order of a
// switch: a closing epoch, then an opening one ([CheckNext]). What is read is checked before it is
// believed, and the error names the object: [DamageError], [VersionError].
//
// # Registers
//
// [Memory] is the process's own. Package bucket is in an object store: one create-only object for
// each epoch. Package quorum is over three [Store]s that fail independently: any one of them may be
// away or slow. Package registertest is the conformance suite for others; examples/register has
// etcd and Kubernetes. This package links neither a store's client nor net/http, so that a program
// on another register doesn't either.
//
// # Limits
//
// An epoch's JSON has 16 MiB at most, of about 200 000 forks. Epochs are never removed: a scope of
// a thousand switches has two thousand small objects. Who may write the register decides who is
// active: it needs the rights of an operator, and readers a ReadOnly bucket. By and Reason are read
// by all.
//
// # Cost
//
// A client's poll is one Get. Package bucket says what that is in money.
//
// A switch costs four PUTs and a few GETs. While nobody is active a client waits for the next epoch
// and looks ten times as often, every 200 ms by default (never more often than 100 ms, or P where
// that is less), and then whenever a tenth of the time that the epoch has been closed for has
// passed again: 1 000 clients make at most 5 000 GETs a second, for two seconds, and 27 each in 12
// s.
package register
