// Package register says which cluster is active, by epoch.
//
// A [Register] is a log of epochs for each scope, created one by one and never changed. It is where controllers meet: of many that want to move a scope one creates the next epoch, and
// the others get a [ConflictError] with it. Clients poll for the next epoch ([Next]) and take their lease from it. On top of Get and Create, all that a register
// does, stand [Begin], [Latest], [Advance] and [History].
//
// # Guarantee
//
// Registers are linearizable: an epoch that somebody has created or read is there, the same, for every read that begins afterwards, in every process. An error that matches [ErrNoEpoch] says
// that the epoch wasn't there when the call began; no other error says anything about it. Numbers have no gaps as long as epochs are written by Begin and Advance, which also hold
// the order of a switch: a closing epoch, then an opening one ([CheckNext]). What is read is checked before it is believed, and the error names the object: [DamageError], [VersionError].
//
// # Registers
//
// [Memory] is the process's own. [Bucket] is in an object store: one create-only object for each epoch. The store must create objects only where none is and show at once what was written,
// as S3, Google Cloud Storage, Azure and storage/filestore do; [OpenBucket] tries that, and refuses a store that ignores create-only writes. A cache or a CDN in
// front of the bucket makes it stale: an epoch that this process hasn't seen yet is late then, and the lease no protection. So does a store that has lost what was written, as a bucket that is made anew, or a directory
// whose mount is gone: the next epoch isn't there, which confirms a lease. [Quorum] is over three [Store]s that fail
// independently: any one of them may be away or slow. Package registertest is the conformance suite for others; examples/register has etcd and Kubernetes.
//
// # Limits
//
// An epoch's JSON has 16 MiB at most, of about 200 000 forks. Epochs are never removed: a scope of a thousand switches has two thousand small objects. Who may write the
// register decides who is active: it needs the rights of an operator, and readers [BucketConfig.ReadOnly]. By and Reason are read by all.
//
// # Cost
//
// A client's poll is one GET in a bucket, and nothing is ever listed. N clients that poll every P seconds make N/P GETs a second, 2 592 000·N/P in 30 days. With the default P of 2 s, 1 000
// clients make 500 GETs a second, far below the 5 500 that S3 serves for one prefix, and 1 296 million in 30 days: at a price of G for 1 000 GETs that is 1 296 000·G, about 520 dollars a month
// at S3's 0.0004 dollars. A GET that finds nothing is charged as well. A longer lease is cheaper in proportion: P is a fifth of it. A [Quorum] makes as many on each store, so three times the
// whole.
//
// A switch costs four PUTs and a few GETs. While nobody is active a client waits for the next epoch and looks ten times as often, every 200 ms by default (never more often than 100 ms, or
// P where that is less), and then whenever a tenth of the time that the epoch has been closed for has passed again: 1 000 clients make at most 5 000 GETs a second, for two seconds, and 27 each in 12 s.
package register
