package instep

import (
	"fmt"
	"time"
)

// groupState is what is known of one group between rounds.
type groupState struct {
	// have is what the standby has as far as is known: committed from here, or found there and
	// ours. ours says that it is known.
	have marks
	ours bool
	// tried was sent without an answer: it may be there, or land yet.
	tried   marks
	triedAt time.Time
	// active says that the group has members on the standby; diverged says what somebody else did
	// first, if so.
	active   bool
	diverged string

	looked    time.Time // when the standby's offsets were last read
	refreshed time.Time // when all marks were last committed
	moved     time.Time // when one was last committed otherwise
	pending   time.Time // since when a transactional commit is pending at the source; zero: none is
	missing   int       // complete lists of the source without it
}

// judge compares what the standby has with what it should have by our doing. want is what the
// source would make of it; note is the ledger's, where there is one. It returns whether offsets of
// an administrator are adopted.
func (s *groupState) judge(there, want marks, note groupNote, known bool) (adopted bool) {
	if was := s.diverged; was != "" {
		defer func() {
			if s.diverged != "" {
				s.diverged = was
			}
		}()
	}
	s.diverged = ""
	var first marks // of topics that this process knows nothing of
	for rest := there; len(rest) > 0; {
		var topic marks
		topic, rest = rest.firstTopic()
		if !s.ours || !s.have.hasTopic(topic[0].topic) && !s.tried.hasTopic(topic[0].topic) {
			first = append(first, topic...)
		}
	}
	adopted = s.judgeFirst(first, want, note, known)
	if s.diverged == "" {
		s.judgeOurs(there.without(first), want)
	}
	if s.diverged != "" {
		return false
	}
	s.have, s.ours = s.have.with(first), true
	return adopted
}

// judgeFirst judges offsets that another process has left.
func (s *groupState) judgeFirst(there, want marks, note groupNote, known bool) (adopted bool) {
	differ, certain := note.differing(there, known)
	for _, m := range differ {
		if w, ok := want.find(m); ok && w.same(m) {
			continue
		}
		switch {
		case m.epoch >= 0:
			s.diverged = fmt.Sprintf("a consumer has committed %d for %s/%d on the standby", m.offset, m.topic, m.partition)
			return false
		case certain[m.topic]:
			s.diverged = fmt.Sprintf("%d is committed for %s/%d on the standby, and the offsets of that topic aren't those that were committed last", m.offset, m.topic, m.partition)
			return false
		}
		adopted = adopted || !known
	}
	return adopted
}

// judgeOurs compares with what this process has committed. Marks that are gone have expired, or
// were deleted: they are committed again.
func (s *groupState) judgeOurs(there, want marks) {
	have := make(marks, 0, len(there))
	for _, m := range there {
		was, ok := s.have.find(m)
		t, tried := s.tried.find(m)
		w, wanted := want.find(m)
		switch {
		case ok && was.same(m), tried && t.same(m), wanted && w.same(m):
			have = append(have, m)
		case ok:
			s.diverged = fmt.Sprintf("%d is committed for %s/%d on the standby, %d was committed last from here", m.offset, m.topic, m.partition, was.offset)
			return
		default:
			s.diverged = fmt.Sprintf("%d is committed for %s/%d on the standby, nothing was from here", m.offset, m.topic, m.partition)
			return
		}
	}
	s.have = have
}
