package instep

// Kind says what an [Event] is about.
type Kind string

// Kinds of events. Each is told once, and again when its detail changes or when it comes back.
const (
	// ConfigRefused: the standby doesn't take a config. The others are set; it is tried again when
	// its value changes, and every ten minutes.
	ConfigRefused Kind = "config_refused"
	// ConfigFailed: a config couldn't be set for another reason, a missing right for example. The
	// next Sync tries again.
	ConfigFailed Kind = "config_failed"
	// ConfigDefault: topics inherit what removes records, and the two clusters' defaults differ.
	ConfigDefault Kind = "config_default"
	// ConfigCapped: min.insync.replicas is lowered to the copy's replication factor.
	ConfigCapped Kind = "config_capped"
	// ConfigsUnread: a topic's configs can't be read on one side.
	ConfigsUnread Kind = "configs_unread"
	// ACLsOff: a side has no authorizer, or hides its ACLs; none are carried.
	ACLsOff Kind = "acls_off"
	// ACLsWithheld: rights to write to copies that aren't given on the standby.
	ACLsWithheld Kind = "acls_withheld"
	// ACLRefused: the standby doesn't take an ACL, or it is of a type that isn't known here.
	ACLRefused Kind = "acl_refused"
	// QuotaRefused: the standby doesn't take a quota.
	QuotaRefused Kind = "quota_refused"
	// QuotasUnread: a side doesn't tell its quotas; none are carried.
	QuotasUnread Kind = "quotas_unread"
	// QuotaOwn: the mirror's client ID has quotas of its own on the standby, so that defaults that
	// are carried don't hold it back.
	QuotaOwn Kind = "quota_own"
	// ScramUsers: users whose credentials can't be carried, since Kafka gives none out.
	ScramUsers Kind = "scram_users"
	// GroupActive: a group has members on the standby; its offsets there are left alone.
	GroupActive Kind = "group_active"
	// GroupDiverged: somebody else has moved a group's offsets on the standby; they are left alone,
	// unless the policy is [Overwrite].
	GroupDiverged Kind = "group_diverged"
	// GroupAdopted: offsets that an administrator had committed on the standby, before this mirror
	// knew the group, are replaced.
	GroupAdopted Kind = "group_adopted"
	// GroupPending: a transaction's commit is pending at the source for long; what was committed
	// before it is carried.
	GroupPending Kind = "group_pending"
	// GroupShare: a share group, whose state isn't offsets (KIP-932); not carried.
	GroupShare Kind = "group_share"
	// GroupDeleted: a group is gone at the source, and was deleted on the standby.
	GroupDeleted Kind = "group_deleted"
	// GroupFailed: a group's offsets couldn't be read or committed.
	GroupFailed Kind = "group_failed"
	// GroupsUnread: groups of a broker couldn't be listed.
	GroupsUnread Kind = "groups_unread"
	// RetentionUnread: the standby doesn't tell offsets.retention.minutes; its default of seven
	// days is assumed.
	RetentionUnread Kind = "retention_unread"
)

// Event is one thing to tell the operator.
type Event struct {
	Kind Kind `json:"kind"`
	// Topic is the standby's topic and Group the group that it is about, where there is one.
	Topic  string `json:"topic,omitempty"`
	Group  string `json:"group,omitempty"`
	Detail string `json:"detail"`
}

// Report is what a Sync did.
type Report struct {
	// Events are what is new to tell.
	Events []Event `json:"events,omitempty"`
	// Changed counts configs, ACLs, quotas or partitions' offsets that were changed on the standby;
	// Failed those that couldn't be, and brokers whose groups couldn't be listed.
	Changed int `json:"changed"`
	Failed  int `json:"failed,omitempty"`
	// Withheld counts ACLs that give rights to write.
	Withheld int `json:"withheld,omitempty"`

	// Groups counts the source's groups that have offsets in mirrored topics; Active and Diverged
	// those that were left alone.
	Groups   int `json:"groups,omitempty"`
	Active   int `json:"active,omitempty"`
	Diverged int `json:"diverged,omitempty"`
	// Refreshed counts partitions' offsets that were committed again unchanged, Clamped those
	// committed as another offset than the source's.
	Refreshed int `json:"refreshed,omitempty"`
	Clamped   int `json:"clamped,omitempty"`
	// Pending are groups with transactional commits under way at the moment, at most 100 of them.
	Pending []string `json:"pending,omitempty"`
}

// notices tell each event once.
type notices struct {
	said map[notice]string
	now  map[notice]string
}

type notice struct {
	kind              Kind
	topic, group, key string
}

// begin begins a round. What isn't noted in it is over, and is told again should it come back.
func (n *notices) begin() { n.now = make(map[notice]string) }

// note puts an event in the report unless it was there before. key tells events of one kind and
// place apart.
func (n *notices) note(r *Report, e Event, key string) {
	id := notice{e.Kind, e.Topic, e.Group, key}
	if old, ok := n.said[id]; !ok || old != e.Detail {
		if was, noted := n.now[id]; !noted || was != e.Detail {
			r.Events = append(r.Events, e)
		}
	}
	n.now[id] = e.Detail
}

// end ends a round that was whole.
func (n *notices) end() { n.said = n.now }
