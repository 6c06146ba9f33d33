package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	// Topic is the ledger's topic. Backups, restores and mirrors leave it out unless it is named
	// literally.
	Topic = "__kafkadr"
	// Version is the version of entries that this package writes, and the latest that it reads.
	Version = 1
	// MaxKey bounds an entry's key, in bytes.
	MaxKey = 1 << 10
	// MaxValue bounds an entry's value, in bytes of JSON.
	MaxValue = 1 << 20

	maxTotal = 256 << 20 // of all entries
)

// Ledger is a cluster's ledger as it was last read. Safe for concurrent use.
type Ledger struct {
	cl *rawkafka.Cluster

	reading turn // one Refresh at a time; guards next and part
	part    rawkafka.Partition
	next    int64

	writing turn // one Put at a time; guards out
	out     producer

	mu      sync.RWMutex
	entries map[string]entry
	bytes   int
}

// turn is who may ask the cluster now: it holds a token then. Unlike a mutex it is waited for no
// longer than a context says, since a broker may stand still.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) end() { <-t }

type entry struct {
	value  json.RawMessage
	offset int64
}

// Open reads the ledger whole. A topic that doesn't exist is an empty ledger; it is made by the
// first [Ledger.Put]. Missing rights are a *[DeniedError]. There is nothing to close; cl stays the
// caller's.
func Open(ctx context.Context, cl *rawkafka.Cluster) (*Ledger, error) {
	l := &Ledger{cl: cl, reading: make(turn, 1), writing: make(turn, 1), entries: map[string]entry{}, out: producer{id: -1}}
	if err := l.Refresh(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// Get decodes the entry of a key. It returns false where there is none, and an [*EntryError] or a
// [*VersionError] where it can't be decoded.
func (l *Ledger) Get(key string, into any) (bool, error) {
	l.mu.RLock()
	e, ok := l.entries[key]
	l.mu.RUnlock()
	if !ok {
		return false, nil
	}
	if err := Decode(key, e.value, into); err != nil {
		var ee *EntryError
		if errors.As(err, &ee) {
			ee.Offset = e.offset
		}
		return false, err
	}
	return true, nil
}

// Decode checks an entry's version, and decodes it.
func Decode(key string, value json.RawMessage, into any) error {
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(value, &head); err != nil {
		return &EntryError{Key: key, Offset: -1, Err: err}
	}
	if head.V > Version {
		return &VersionError{Key: key, Version: head.V}
	}
	if err := json.Unmarshal(value, into); err != nil {
		return &EntryError{Key: key, Offset: -1, Err: err}
	}
	return nil
}

// Each yields the entries whose keys begin with prefix, in the order of their keys, as they were
// when it was called. [Decode] decodes them.
func (l *Ledger) Each(prefix string) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		l.mu.RLock()
		var keys []string
		values := map[string]json.RawMessage{}
		for key, e := range l.entries {
			if strings.HasPrefix(key, prefix) {
				keys, values[key] = append(keys, key), e.value
			}
		}
		l.mu.RUnlock()
		slices.Sort(keys)
		for _, key := range keys {
			if !yield(key, values[key]) {
				return
			}
		}
	}
}

// take takes a record of the topic in. What can't be an entry is skipped.
func (l *Ledger) take(r *kgo.Record) error {
	key := string(r.Key)
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) || len(r.Value) > MaxValue {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old, had := l.entries[key]
	if had {
		l.bytes -= len(key) + len(old.value)
	}
	if r.Value == nil {
		delete(l.entries, key)
		return nil
	}
	l.bytes += len(key) + len(r.Value)
	if l.bytes > maxTotal {
		return &TopicError{Reason: "its entries are more than 256 MiB"}
	}
	l.entries[key] = entry{value: slices.Clone(json.RawMessage(r.Value)), offset: r.Offset}
	return nil
}

// forget empties the ledger, to read it anew.
func (l *Ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.bytes = map[string]entry{}, 0
	l.part, l.next = rawkafka.Partition{}, 0
}
