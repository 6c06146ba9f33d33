// Package quorum is a [register.Register] over three stores or more that fail independently: any
// minority of them may be away or slow. Its stores are anybody's [register.Store], such as three
// buckets. A client makes as many requests on each store as it would on one, so three times the
// whole.
package quorum
