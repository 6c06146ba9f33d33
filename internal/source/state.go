package source

import (
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Fact is what the brokers of one look say together of an incarnation that is followed.
type Fact int8

// Facts.
const (
	// Unheard: no broker said anything.
	Unheard Fact = iota
	// Here: a broker has the incarnation, or something by its name that may be it: one that may not
	// be described, or has no partitions yet.
	Here
	// Absent: every broker that answers doesn't know the name.
	Absent
	// Another: every broker that answers has another incarnation, or none.
	Another
)

// factOf is what views say of an incarnation. A zero ID is any.
func factOf(views []View, k Known) Fact {
	fact := Unheard
	for _, v := range views {
		t, ok := v[k.Name]
		switch {
		case ok && (t.Err != nil || len(t.Partitions) == 0 || k.is(t)):
			return Here
		case ok:
			fact = Another
		case fact == Unheard:
			fact = Absent
		}
	}
	return fact
}

// State is what is known of an incarnation.
type State int8

// States. An incarnation begins as Present.
const (
	// Present: it is there.
	Present State = iota
	// Doubted: no broker has had it, but not for long enough.
	Doubted
	// Gone: no broker has had the topic for a while.
	Gone
	// Replaced: no broker has had it for a while, and another topic has its name.
	Replaced
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"present", "doubted", "gone", "replaced"}[s]
}

// topic is the state of one incarnation, with the time since when no broker has it.
type topic struct {
	state State
	since time.Time
}

// next is the state after a fact of a look at now. after is how long no broker may have it until
// that is believed.
//
//	           Here      Absent               Another              Unheard
//	Present    Present   Doubted              Doubted              Present
//	Doubted    Present   Gone, once it is     Replaced, once it    Doubted
//	                     after, else Doubted  is after, else Doubted
//	Gone       Present   Gone                 Replaced             Gone
//	Replaced   Present   Gone                 Replaced             Replaced
func (t topic) next(f Fact, now time.Time, after time.Duration) topic {
	switch f {
	case Here:
		return topic{}
	case Unheard:
		return t
	case Absent, Another:
	}
	if t.state == Present {
		t = topic{Doubted, now}
	}
	if t.state == Doubted && now.Sub(t.since) < after {
		return t
	}
	if t.state = Gone; f == Another {
		t.state = Replaced
	}
	return t
}

// Known names an incarnation that is followed. A zero ID is any of that name.
type Known struct {
	Name string
	ID   kadm.TopicID
}

// is says whether a topic is that incarnation.
func (k Known) is(t rawkafka.Topic) bool { return k.ID == kadm.TopicID{} || k.ID == t.ID }

// Verdict is what has become of an incarnation.
type Verdict struct {
	State State
	// Now is what is there by the name; where nothing is, Err says so.
	Now rawkafka.Topic
}
