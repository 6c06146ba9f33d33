// Package copylock keeps two processes from making the same hole of a target topic at once.
//
// Data needs no lock, since a sequence is a compare-and-append. Markers aren't idempotent: of two
// processes' last ones both would be taken. So whoever makes holes in a topic claims it first. The
// lock is the epoch of a transactional id made of the target topic's ID: InitProducerId raises it,
// and DescribeTransactions shows it. No transaction is ever begun. The newest claim wins; an older
// holder finds out within its lease, which a newer one waits for.
//
// The rights needed are Write and Describe on the transactional ids that begin with kafkadr-copy-.
// Without them there is no lock; Claim says so.
package copylock
