package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

// A log entry is one object:
//
//	"KDRLOG" 0 1 | manifest nodes | record | footer
//
//	footer  0 record length uint32   4 SHA-256 of the record
//	       36 SHA-256 of every byte before this field
//	       68 version uint16         70 zero uint16   72 "KDRENTRY"
const (
	entryHeader = "KDRLOG\x00\x01"
	entryMagic  = "KDRENTRY"
	footerBytes = 80
	nonceBytes  = 16
	// entryVersion is what is written; every version from 1 on is read. 2 knows absent groups and
	// pending commits.
	entryVersion = 2

	maxRecordBytes = 1 << 20
)

type entryKind uint8

const (
	kindClaim  entryKind = 1
	kindCommit entryKind = 2
)

// entryRef points at an entry of the same log and vouches for it.
type entryRef struct {
	Sequence int64
	SHA256   [32]byte
}

// record is what a log entry says.
type record struct {
	Kind      entryKind
	ClusterID string
	Sequence  int64
	// Generation is the sequence number of the writer's claim.
	Generation int64
	Owner      string
	WriterKind string
	Nonce      [nonceBytes]byte
	At         time.Time
	// Previous is the digest of the entry before; zero in the first.
	Previous [32]byte
	// Commit is the newest commit before this entry, Complete the newest complete one, this entry
	// included: it names itself by its number and a zero digest. Zero where there is none.
	Commit, Complete entryRef
	// Info and Root are a commit's.
	Info Info
	Root tree.Ref
}

// entry is a record with the digest of its object.
type entry struct {
	record
	SHA256 [32]byte
}

func (r *record) encode(e *wire.Encoder) {
	e.Uvarint(uint64(r.Kind))
	e.String(r.ClusterID)
	e.Uvarint(uint64(r.Sequence))
	e.Uvarint(uint64(r.Generation))
	e.String(r.Owner)
	e.String(r.WriterKind)
	e.Raw(r.Nonce[:])
	encodeTime(e, r.At)
	e.Raw(r.Previous[:])
	for _, ref := range []entryRef{r.Commit, r.Complete} {
		e.Uvarint(uint64(ref.Sequence))
		e.Raw(ref.SHA256[:])
	}
	if r.Kind == kindCommit {
		encodeInfo(e, r.Info)
		r.Root.Encode(e)
	}
}

func decodeRecord(raw []byte) (record, error) {
	d := wire.NewDecoder(raw)
	r := record{Kind: entryKind(d.Int(255)), ClusterID: d.String(), Sequence: d.Int(maxSequence), Generation: d.Int(maxSequence)}
	r.Owner, r.WriterKind = d.String(), d.String()
	copy(r.Nonce[:], d.Raw(nonceBytes))
	r.At, r.Previous = decodeTime(d), d.Digest()
	for _, ref := range []*entryRef{&r.Commit, &r.Complete} {
		ref.Sequence, ref.SHA256 = d.Int(maxSequence), d.Digest()
	}
	switch r.Kind {
	case kindClaim:
	case kindCommit:
		r.Info = decodeInfo(d)
		r.Info.ClusterID, r.Info.Sequence = r.ClusterID, r.Sequence
		r.Info.ID = snapshotID(r.Sequence, r.Nonce)
		r.Root = tree.DecodeRef(d)
	default:
		d.Fail("entry of kind %d", r.Kind)
	}
	if err := d.Done(); err != nil {
		return record{}, err
	}
	return r, r.validate()
}

func (r *record) validate() error {
	claim := r.Kind == kindClaim
	switch {
	case r.Sequence < 1, r.Generation < 1, r.Generation > r.Sequence, claim && r.Generation != r.Sequence:
		return fmt.Errorf("%w: entry %d of generation %d", wire.ErrMalformed, r.Sequence, r.Generation)
	case r.Commit.Sequence >= r.Sequence, r.Complete.Sequence > r.Sequence, claim && r.Complete.Sequence == r.Sequence:
		return fmt.Errorf("%w: entry %d points forwards", wire.ErrMalformed, r.Sequence)
	case r.Root.Entry > r.Sequence:
		return fmt.Errorf("%w: root of entry %d points forwards", wire.ErrMalformed, r.Sequence)
	}
	return nil
}

// seal appends record and footer to an object that holds header and nodes.
func (r *record) seal(object []byte) ([]byte, [32]byte) {
	var e wire.Encoder
	r.encode(&e)
	sum := sha256.Sum256(e.B)
	object = append(object, e.B...)
	object = binary.BigEndian.AppendUint32(object, uint32(len(e.B)))
	object = append(object, sum[:]...)
	all := sha256.Sum256(object)
	object = append(object, all[:]...)
	object = binary.BigEndian.AppendUint16(object, entryVersion)
	object = append(object, 0, 0)
	return append(object, entryMagic...), all
}

var errShortTail = errors.New("record begins before the bytes that were read")

// parseTail reads record and footer from an object's last bytes. errShortTail says that more of
// them are needed.
func parseTail(tail []byte) (*entry, int, error) {
	if len(tail) < footerBytes {
		return nil, 0, fmt.Errorf("%w: %d bytes", wire.ErrMalformed, len(tail))
	}
	footer := tail[len(tail)-footerBytes:]
	if string(footer[72:]) != entryMagic || footer[70] != 0 || footer[71] != 0 {
		return nil, 0, fmt.Errorf("%w: no footer", wire.ErrMalformed)
	}
	if v := binary.BigEndian.Uint16(footer[68:]); v < 1 || v > entryVersion {
		return nil, 0, &VersionError{Version: int(v)}
	}
	length := binary.BigEndian.Uint32(footer)
	if length > maxRecordBytes {
		return nil, 0, fmt.Errorf("%w: record of %d bytes", wire.ErrMalformed, length)
	}
	need := int(length) + footerBytes
	if need > len(tail) {
		return nil, need, errShortTail
	}
	raw := tail[len(tail)-need : len(tail)-footerBytes]
	if sha256.Sum256(raw) != [32]byte(footer[4:36]) {
		return nil, 0, fmt.Errorf("%w: digest mismatch", wire.ErrMalformed)
	}
	rec, err := decodeRecord(raw)
	if err != nil {
		return nil, 0, err
	}
	return &entry{record: rec, SHA256: [32]byte(footer[36:68])}, need, nil
}

// checkWhole checks every byte of an entry's object.
func checkWhole(object []byte) (*entry, error) {
	if len(object) < len(entryHeader)+footerBytes || string(object[:len(entryHeader)]) != entryHeader {
		return nil, fmt.Errorf("%w: no header", wire.ErrMalformed)
	}
	e, _, err := parseTail(object)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(object[:len(object)-footerBytes+36]) != e.SHA256 {
		return nil, fmt.Errorf("%w: digest mismatch", wire.ErrMalformed)
	}
	return e, nil
}

func encodeTime(e *wire.Encoder, t time.Time) {
	e.Varint(t.Unix())
	e.Uvarint(uint64(t.Nanosecond()))
}

func decodeTime(d *wire.Decoder) time.Time {
	sec, nsec := d.Varint(), d.Int(999_999_999)
	if sec == zeroTime && nsec == 0 {
		return time.Time{}
	}
	const yearTenThousand = 253402300800
	if sec < zeroTime || sec >= yearTenThousand {
		d.Fail("time %d", sec)
		return time.Time{}
	}
	return time.Unix(sec, nsec).UTC()
}

// zeroTime is time.Time{}.Unix().
const zeroTime = -62135596800

func encodeInfo(e *wire.Encoder, i Info) {
	encodeTime(e, i.CreatedAt)
	e.Bool(i.Flush)
	e.Bool(i.Complete)
	e.Uvarint(uint64(i.Topics))
	e.Uvarint(uint64(i.Partitions))
	e.Uvarint(uint64(i.Records))
	e.Uvarint(uint64(i.Bytes))
}

func decodeInfo(d *wire.Decoder) Info {
	const limit = 1 << 62
	return Info{
		CreatedAt: decodeTime(d), Flush: d.Bool(), Complete: d.Bool(),
		Topics: int(d.Int(limit)), Partitions: int(d.Int(limit)), Records: d.Int(limit), Bytes: d.Int(limit),
	}
}
