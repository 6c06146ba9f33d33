package mirror

import "fmt"

// Policy is what to do at an event.
type Policy string

// Policies. Which an event allows is said at its kind.
const (
	// Stop stops the partition, or the topic. It is looked at again when the mirror is started
	// again, or told to by [Mirror.Retry].
	Stop Policy = "stop"
	// Retry stops it and looks again every half minute.
	Retry Policy = "retry"
	// GoOn goes on, where that is exact.
	GoOn Policy = "go_on"
	// Keep leaves the copy as it is.
	Keep Policy = "keep"
	// Delete deletes the copy.
	Delete Policy = "delete"
	// Overwrite puts the source's in its place.
	Overwrite Policy = "overwrite"
	// Recreate deletes the copy and begins anew.
	Recreate Policy = "recreate"
)

// Policies are by kind of event.
type Policies map[EventKind]Policy

// allowed are the policies of a kind, the default first; nil where there is none to choose.
func allowed(k EventKind) []Policy {
	switch k {
	case TopicRecreated:
		return []Policy{Stop, Recreate, Retry}
	case TopicDeleted, GroupDeleted:
		return []Policy{Keep, Delete}
	case GroupDiverged:
		return []Policy{Keep, Overwrite}
	case Overtaken:
		return []Policy{Stop, GoOn, Retry}
	case NothingRead:
		return []Policy{Retry, Stop, GoOn}
	case StandbyBack:
		return []Policy{GoOn, Stop}
	case StandbyDeleted:
		return []Policy{Stop, GoOn}
	case PartitionsAhead:
		return []Policy{GoOn, Stop}
	case Denied, Failed, TopicRefused, TooLarge:
		return []Policy{Retry, Stop}
	case Truncated, ForeignWriter, StandbyAhead, Shifted, Stamped, TakenOver:
		return []Policy{Stop, Retry}
	}
	return nil
}

// of is the policy for a kind.
func (p Policies) of(k EventKind) Policy {
	if own, ok := p[k]; ok {
		return own
	}
	if all := allowed(k); len(all) > 0 {
		return all[0]
	}
	return ""
}

// withPolicy names the kinds that have a policy, for people.
func withPolicy() string {
	return fmt.Sprint([]EventKind{
		TopicRecreated, TopicDeleted, Overtaken, Truncated, ForeignWriter, StandbyAhead, StandbyBack, StandbyDeleted, Shifted, Stamped, TakenOver, TooLarge, Denied, Failed, NothingRead,
		TopicRefused, PartitionsAhead, GroupDeleted, GroupDiverged,
	})
}

// Writes is what becomes of rights to write to copies: nobody but the mirror may write to them.
type Writes string

// What becomes of rights to write.
const (
	// WritesWithheld carries READ, DESCRIBE and DESCRIBE_CONFIGS on topics alone. What is withheld
	// is noted on the standby, for the day of the failover.
	WritesWithheld Writes = "withheld"
	// WritesCarried carries everything.
	WritesCarried Writes = "carried"
)
