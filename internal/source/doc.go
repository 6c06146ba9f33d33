// Package source follows a cluster for a job: which topics there are, new, grown, made anew or gone
// ([Catalog]); where the job stands with each partition ([Following]); what a leader says of a log,
// and whether that still is the one that was copied ([Logs]); and the reading itself ([Loop]), into
// a [Sink], which the job is.
//
// # Brokers that lag behind
//
// A broker that has just started, or lags behind, knows less than others: it leaves a topic out,
// has fewer partitions of it, or still has the incarnation before. So a topic is what any broker
// says of it, by [Union], and it is gone, or another, only when no broker that answers has had the
// known incarnation for a while ([Catalog]). What brokers disagree about in halves isn't settled,
// and is looked at again.
//
// # Locks
//
// A Following is guarded by its job. A Loop's lock is held while its sink is asked what it wants
// and the fetcher is told, so a sink must not hold its own lock when it calls [Loop.Steer].
package source
