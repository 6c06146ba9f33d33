package storage

import (
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// Keys of objects match [a-z0-9][a-z0-9./-]* and hold no names:
//
//	archive                          the format marker
//	l/<cluster>/log/000/000/003/412  log entry 3412 of a lineage
//	l/<cluster>/seg/000000003412-00000007  segment 7 of generation 3412
//	l/<cluster>/end/000000003413-9f3a01bc  witness of a full snapshot
const (
	markerKey     = "archive"
	lineagesDir   = "l/"
	maxSequence   = 999_999_999_999
	maxSegment    = 99_999_999
	maxClusterID  = 128
	sequenceDigit = 12
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (l Lineage) validate() error {
	if l.ClusterID == "" || len(l.ClusterID) > maxClusterID {
		return fmt.Errorf("storage: cluster ID of %d bytes; 1 to %d are allowed", len(l.ClusterID), maxClusterID)
	}
	return nil
}

func (l Lineage) prefix() string {
	return lineagesDir + base32Lower.EncodeToString([]byte(l.ClusterID)) + "/"
}

// parseLineage reads a lineage's prefix.
func parseLineage(prefix string) (Lineage, bool) {
	name, ok := strings.CutPrefix(strings.TrimSuffix(prefix, "/"), lineagesDir)
	if !ok {
		return Lineage{}, false
	}
	id, err := base32Lower.DecodeString(name)
	l := Lineage{ClusterID: string(id)}
	return l, err == nil && l.validate() == nil && l.prefix() == prefix
}

func (l Lineage) logPrefix() string     { return l.prefix() + "log/" }
func (l Lineage) segmentPrefix() string { return l.prefix() + "seg/" }

// logKey splits the sequence number in groups of three digits: no directory has
// more than a thousand names, and the newest is found in four listings.
func (l Lineage) logKey(sequence int64) string {
	s := fmt.Sprintf("%012d", sequence)
	return l.logPrefix() + s[:3] + "/" + s[3:6] + "/" + s[6:9] + "/" + s[9:]
}

func (l Lineage) segmentKey(generation, number int64) string {
	return fmt.Sprintf("%s%012d-%08d", l.segmentPrefix(), generation, number)
}

// parseSegmentKey reads a segment's key, strictly.
func (l Lineage) parseSegmentKey(key string) (generation, number int64, ok bool) {
	gen, num, found := strings.Cut(strings.TrimPrefix(key, l.segmentPrefix()), "-")
	if !found {
		return 0, 0, false
	}
	generation, ok1 := parseDigits(gen)
	number, ok2 := parseDigits(num)
	return generation, number, ok1 && ok2 && l.segmentKey(generation, number) == key
}

// parseDigits reads decimal digits alone.
func parseDigits(s string) (int64, bool) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && len(s) <= sequenceDigit
}

// snapshotID names a commit: its place in the lineage's log and 32 random bits.
func snapshotID(sequence int64, nonce [nonceBytes]byte) string {
	return fmt.Sprintf("%06d-%x", sequence, nonce[:4])
}

// parseSnapshotID returns the sequence number; the rest is compared as text.
func parseSnapshotID(id string) (int64, bool) {
	seq, nonce, ok := strings.Cut(id, "-")
	n, digits := parseDigits(seq)
	return n, ok && digits && n > 0 && len(nonce) == 8
}
