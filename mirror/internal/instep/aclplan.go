package instep

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// Writes is the policy for rights to write to copies.
type Writes string

// Policies for rights to write.
const (
	// WritesWithheld: of what is allowed on topics, only READ, DESCRIBE and DESCRIBE_CONFIGS is
	// carried, so that nobody writes to a copy while it is one. ALL becomes these three. What is
	// withheld is noted in the ledger, for the day of the failover. The default.
	WritesWithheld Writes = "withheld"
	// WritesCarried: everything is carried.
	WritesCarried Writes = "carried"
)

// ACL is one entry, in the protocol's own words.
type ACL struct {
	ResourceType string `json:"resource_type"`
	ResourceName string `json:"resource_name"`
	PatternType  string `json:"pattern_type"`
	Principal    string `json:"principal"`
	Host         string `json:"host"`
	Operation    string `json:"operation"`
	Permission   string `json:"permission"`
}

// String is the entry as it is said: who may do what to which.
func (a ACL) String() string {
	name := quote.Name(a.ResourceName)
	if a.PatternType == patternPrefixed {
		name += "…"
	}
	return a.Permission + " " + quote.Name(a.Principal) + "@" + a.Host + " " + a.Operation + " " + a.ResourceType + " " + name
}

func (a ACL) compare(b ACL) int {
	return cmp.Or(cmp.Compare(a.ResourceType, b.ResourceType), cmp.Compare(a.ResourceName, b.ResourceName), cmp.Compare(a.PatternType, b.PatternType),
		cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Permission, b.Permission))
}

// ACLPlan is what is to change.
type ACLPlan struct {
	Create []ACL `json:"create,omitempty"`
	Delete []ACL `json:"delete,omitempty"`
	// Withheld are entries that the source has and the standby isn't given, as they would be there.
	Withheld []ACL `json:"withheld,omitempty"`

	owned []ACL // ours with Create, and with Delete
	later []ACL // ours in the end
}

// The protocol's words.
const (
	typeTopic       = "TOPIC"
	patternLiteral  = "LITERAL"
	patternPrefixed = "PREFIXED"
	allow           = "ALLOW"
	opAll           = "ALL"
)

// harmless are the rights to topics that let nobody change a copy.
func harmless() []string { return []string{"READ", "DESCRIBE", "DESCRIBE_CONFIGS"} }

// rename gives an entry the name that it has on the standby; false where it is of a topic that
// isn't mirrored. A literal entry is carried for mirrored topics, a prefixed one always: its topics
// may be yet to come. All topics of the source, *, are all that begin with the prefix, where there
// is one.
func rename(a ACL, targets map[string]string, prefix string) (ACL, bool) {
	switch {
	case a.ResourceType != typeTopic:
	case a.PatternType == patternPrefixed:
		a.ResourceName = prefix + a.ResourceName
	case a.ResourceName != "*":
		target, ok := targets[a.ResourceName]
		a.ResourceName = target
		return a, ok
	case prefix != "":
		a.PatternType, a.ResourceName = patternPrefixed, prefix
	}
	return a, true
}

// withhold divides an entry into those that are carried and those that aren't.
func withhold(a ACL, writes Writes) (carried, withheld []ACL) {
	if writes == WritesCarried || a.ResourceType != typeTopic || a.Permission != allow || slices.Contains(harmless(), a.Operation) {
		return []ACL{a}, nil
	}
	if a.Operation == opAll {
		for _, op := range harmless() {
			less := a
			less.Operation = op
			carried = append(carried, less)
		}
	}
	return carried, []ACL{a}
}

// planACLs compares the entries. owned are those that were created from here before; others on the
// standby stay.
func planACLs(v View, prefix string, writes Writes, src, dst, owned []ACL) *ACLPlan {
	targets := make(map[string]string, len(v.Topics))
	for _, t := range v.Topics {
		targets[t.Source] = t.Target
	}
	want, withheld := map[ACL]bool{}, map[ACL]bool{}
	for _, a := range src {
		a, ok := rename(a, targets, prefix)
		if !ok {
			continue
		}
		yes, no := withhold(a, writes)
		for _, a := range yes {
			want[a] = true
		}
		for _, a := range no {
			withheld[a] = true
		}
	}
	there, ours := setOf(dst), setOf(owned)
	p := &ACLPlan{Withheld: sorted(withheld)}
	for a := range want {
		if !there[a] {
			p.Create = append(p.Create, a)
			ours[a] = true
		}
	}
	p.owned = sorted(ours)
	for _, a := range p.owned {
		switch {
		case want[a]:
			p.later = append(p.later, a)
		case there[a]:
			p.Delete = append(p.Delete, a)
		}
	}
	slices.SortFunc(p.Create, ACL.compare)
	return p
}

func setOf(acls []ACL) map[ACL]bool {
	set := make(map[ACL]bool, len(acls))
	for _, a := range acls {
		set[a] = true
	}
	return set
}

func sorted(set map[ACL]bool) []ACL { return slices.SortedFunc(maps.Keys(set), ACL.compare) }
