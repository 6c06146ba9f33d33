// Package exactcopy appends record batches to a target cluster at the offsets they have on the source.
package exactcopy
