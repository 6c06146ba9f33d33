// Package bucket is a [register.Register] in an object store: one create-only object for each
// epoch.
//
// The store must create objects only where none is, and show at once what was written, as S3,
// Google Cloud Storage, Azure and storage/filestore do; [Open] tries that, and refuses a store that
// ignores create-only writes. A cache or a CDN in front of the bucket makes it stale: an epoch that
// this process hasn't seen yet is late then, and the lease no protection. So does a store that has
// lost what was written, as a bucket that is made anew, or a directory whose mount is gone: the
// next epoch isn't there, which confirms a lease.
//
// # Cost
//
// A client's poll is one GET, and nothing is ever listed. N clients that poll every P seconds make
// N/P GETs a second, 2 592 000·N/P in 30 days. With the default P of 2 s, 1 000 clients make 500
// GETs a second, far below the 5 500 that S3 serves for one prefix, and 1 296 million in 30 days:
// about 520 dollars a month at 0.0004 dollars for 1 000 GETs. A GET that finds nothing is charged
// as well. A longer lease is cheaper in proportion: P is a fifth of it.
package bucket
