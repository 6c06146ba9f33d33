package drill

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// stamp makes the records of a run, and knows them again: a value is the run's nonce, the sequence,
// and as many dots as make it as long as it is to be.
type stamp struct {
	nonce string
	size  int
}

func newStamp(size int) stamp {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return stamp{hex.EncodeToString(b[:]), size}
}

func (s stamp) record(k Key, sequence int64) *kgo.Record {
	return &kgo.Record{Topic: k.Topic, Key: []byte(k.Key), Value: s.value(sequence)}
}

func (s stamp) value(sequence int64) []byte {
	v := fmt.Appendf(make([]byte, 0, s.size), "%s %d ", s.nonce, sequence)
	for len(v) < s.size {
		v = append(v, '.')
	}
	return v
}

// read is a record's key and sequence; ours is false for a record of somebody else, and err says
// what is wrong with one of this run.
func (s stamp) read(r *kgo.Record) (k Key, sequence int64, ours bool, err error) {
	k = Key{r.Topic, string(r.Key)}
	rest, ours := bytes.CutPrefix(r.Value, []byte(s.nonce+" "))
	if !ours {
		return k, 0, false, nil
	}
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	sequence, err = strconv.ParseInt(string(digits), 10, 64)
	if err == nil && !bytes.Equal(r.Value, s.value(sequence)) {
		err = fmt.Errorf("%d has another value than was sent", sequence)
	}
	return k, sequence, true, err
}
