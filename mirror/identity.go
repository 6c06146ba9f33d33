package mirror

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// identity is what the ledger says of a copy: of which log it is, and how far.
type identity struct {
	Flow     string `json:"flow"`
	Topic    string `json:"topic"`
	SourceID string `json:"source_id"`
	TargetID string `json:"target_id"`
	// Origins are the clusters that the source's topic is itself a copy of, at first or second
	// hand.
	Origins []string `json:"origins,omitempty"`
	// Start is where the copy's first record can be: what lies below was filler, or isn't there.
	Start int64 `json:"start"`
	// Turned is up to where the target's log was the source of the other one, before the two were
	// turned around ([Reverse]): there it may hold aborted transactions, where a copy has holes.
	Turned int64 `json:"turned,omitempty"`
	// Position is up to where the standby was durable.
	Position int64 `json:"position"`
	// Base, End, Epoch and CRC are the source's last batch below Position: its leader epoch, -1
	// where there is none, and its own CRC-32C.
	Base  int64     `json:"base"`
	End   int64     `json:"end"`
	Epoch int32     `json:"epoch"`
	CRC   uint32    `json:"crc"`
	At    time.Time `json:"at"`
	// Stopped is the kind of event that has stopped the copy. Empty: it hasn't stopped.
	Stopped EventKind `json:"stopped,omitempty"`
}

// known says that there is one.
func (i *identity) known() bool { return i.SourceID != "" }

// identityKey is where the ledger has it.
func (fl *flow) identityKey(target string, partition int32) string {
	return identityPrefix + fl.source.ID() + "/" + target + "/" + strconv.Itoa(int(partition))
}

const identityPrefix = "copy/"

// noted reads the identity of a copy. One of another topic that had the copy's name doesn't count.
func (fl *flow) noted(dst rawkafka.Partition) (identity, error) {
	var id identity
	ok, err := fl.ledger.Get(fl.identityKey(dst.Topic, dst.Partition), &id)
	if err != nil {
		return identity{}, fmt.Errorf("identity: %w", err)
	}
	if !ok || id.TargetID != dst.TopicID.String() {
		return identity{}, nil
	}
	return id, nil
}

// stoppedBy is the kind of event that has stopped a partition, if one has; e.mu is held.
func (p *part) stoppedBy() EventKind {
	switch {
	case p.state() != Stopped:
		return ""
	case p.why == nil:
		return Failed
	}
	return p.why.Event.Kind
}

// identify is a partition's identity now; e.mu is held. That of one that has stopped is what it
// was, and that it has.
func (e *engine) identify(p *part) identity {
	id := p.note
	if id.Stopped = p.stoppedBy(); id.Stopped != "" {
		id.At = time.Now().UTC().Truncate(time.Millisecond)
		return id
	}
	id.Flow, id.Topic, id.SourceID, id.TargetID, id.At = e.cfg.Name, p.source, p.sourceID.String(), p.targetID.String(), time.Now().UTC().Truncate(time.Millisecond)
	id.Origins = e.origins[p.source]
	id.Position = max(p.copy.Durable(), 0)
	if b := p.batch; b.end > 0 && b.end <= id.Position {
		id.Base, id.End, id.Epoch, id.CRC = b.base, b.end, b.epoch, b.crc
	}
	return id
}

// note writes identities of partitions that have moved, or of all that are given, to the ledger.
func (e *engine) noteAll(ctx context.Context, parts []*part) error {
	if len(parts) == 0 {
		return nil
	}
	put := make(map[string]any, len(parts))
	ids := make([]identity, len(parts))
	e.mu.Lock()
	for i, p := range parts {
		ids[i] = e.identify(p)
		put[e.identityKey(p.target, p.src.Partition)] = ids[i]
		if p.created && !p.noted {
			put[e.newKey(p.target)] = nil
		}
	}
	e.mu.Unlock()
	if err := e.ledger.Put(ctx, put); err != nil {
		return fmt.Errorf("note positions: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, p := range parts {
		p.note, p.noteSoon, p.noted = ids[i], false, true
	}
	return nil
}

// toNote are the partitions whose identity is to be written: those that have stopped, or have no
// more, and those that have moved, or, with soon, whose leader at the source has changed.
func (e *engine) toNote(soon bool) []*part {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ps []*part
	for _, p := range e.parts {
		p.reached()
		if !p.note.known() || p.state() == Opening {
			continue
		}
		moved := p.state() != Stopped && (!soon && p.copy.Durable() > p.note.Position || soon && p.noteSoon)
		if moved || p.stoppedBy() != p.note.Stopped {
			ps = append(ps, p)
		}
	}
	return ps
}

// noteNew notes copies that are about to be created: a flow the other way must not take them for
// topics of their own before their partitions are noted.
func (e *engine) noteNew(ctx context.Context, topics []*topic) error {
	put := make(map[string]any, len(topics))
	e.mu.Lock()
	for _, t := range topics {
		put[e.newKey(t.target)] = identity{Flow: e.cfg.Name, Topic: t.source, SourceID: t.sourceID.String(), Origins: e.origins[t.source], Epoch: -1, At: time.Now().UTC().Truncate(time.Millisecond)}
	}
	e.mu.Unlock()
	if err := e.ledger.Put(ctx, put); err != nil {
		return fmt.Errorf("note new copies: %w", err)
	}
	return nil
}

func (fl *flow) newKey(target string) string {
	return identityPrefix + fl.source.ID() + "/" + target + "/" + newCopy
}

// newCopy is in a key's place of the partition while the copy is created.
const newCopy = "new"
