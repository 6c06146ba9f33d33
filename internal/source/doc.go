// Package source is what a job that follows a cluster knows of it: which topics there are, new, grown, made anew or gone.
//
// # Brokers that lag behind
//
// A broker that has just started, or lags behind, knows less than others: it leaves a topic out, has fewer partitions of it, or still has the incarnation before. So a topic is what
// any broker says of it, by [Union], and it is gone, or another, only when no broker that answers has had the known incarnation for a while ([Catalog]). What brokers disagree about in
// halves isn't settled, and is looked at again.
package source
