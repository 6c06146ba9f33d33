package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// selection divides the source's topics.
type selection struct {
	*topics.Selection
	own string // the heartbeats' topic, taken whatever the expressions say; empty: none
}

func newSelection(cfg Config) (*selection, error) {
	sel, err := topics.New(cfg.Topics, cfg.Exclude)
	return &selection{Selection: sel}, err
}

// takes says whether a topic is asked for.
func (s *selection) takes(t rawkafka.Topic) bool {
	return t.Name == s.own && s.own != "" || s.Takes(t.Name, t.Internal)
}

// of are the topics that are asked for.
func (s *selection) of(all map[string]rawkafka.Topic) map[string]rawkafka.Topic {
	selected := make(map[string]rawkafka.Topic)
	for name, t := range all {
		if s.takes(t) {
			selected[name] = t
		}
	}
	return selected
}

// owned are topics that match but aren't mirrored since they are the source's own, with the reason.
func (s *selection) owned(all map[string]rawkafka.Topic) map[string]string {
	out := make(map[string]string)
	for name, t := range all {
		if why := s.Why(name, t.Internal); (why == topics.Never || why == topics.Own) && !s.takes(t) {
			out[name] = string(why)
		}
	}
	return out
}

// madeWithin is how long a plan waits for topics that are being made.
const madeWithin = 30 * time.Second

// list asks every broker for all topics, and for those that were asked for by name: a broker lists
// only those that may be described. Topics that are being made are waited for.
func (fl *flow) list(ctx context.Context, wait time.Duration) (map[string]rawkafka.Topic, error) {
	l, err := fl.sources.Settle(ctx, source.Query{Cluster: fl.source, Everywhere: true, Named: fl.sel.Names(), Takes: fl.sel.takes}, wait)
	if err != nil {
		return nil, fmt.Errorf("source: topics: %w", err)
	}
	return l.Topics, nil
}

// missing is an *[UnknownTopicError] for literal names that aren't there, or where a Once finds
// nothing that matches what was asked for; else nothing is a warning.
func (s *selection) missing(cfg Config, all map[string]rawkafka.Topic) (warning string, err error) {
	var names []string
	for _, name := range s.Names() {
		if _, ok := all[name]; !ok {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return "", &UnknownTopicError{Topic: strings.Join(names, ", ")}
	}
	if len(cfg.Topics) == 0 || len(s.of(all)) > 0 {
		return "", nil
	}
	asked := strings.Join(cfg.Topics, ", ")
	if cfg.Once {
		return "", &UnknownTopicError{Topic: asked, Expressions: true}
	}
	return fmt.Sprintf("no topic matches %s yet", asked), nil
}

// copiesOf are the topics of a cluster that its ledger says are copies of another cluster's, at
// first hand or over others, with the name of what they are copies of; and the origins of all
// copies. A topic that has been created anew since isn't one.
func copiesOf(l *ledger.Ledger, of string, all map[string]rawkafka.Topic) (copies map[string]string, origins map[string][]string) {
	copies, origins = make(map[string]string), make(map[string][]string)
	if l == nil {
		return copies, origins
	}
	for key, value := range l.Each(identityPrefix) {
		cluster, rest, _ := strings.Cut(strings.TrimPrefix(key, identityPrefix), "/")
		name, _, _ := strings.Cut(rest, "/")
		t, ok := all[name]
		if !ok || slices.Contains(origins[name], cluster) {
			continue
		}
		var id identity
		err := ledger.Decode(key, value, &id)
		if err == nil && id.TargetID != "" && id.TargetID != t.ID.String() && t.ID != (kadm.TopicID{}) {
			continue
		}
		origins[name] = append(origins[name], cluster)
		for _, origin := range id.Origins {
			if !slices.Contains(origins[name], origin) {
				origins[name] = append(origins[name], origin)
			}
		}
		if slices.Contains(origins[name], of) { // what can't be read counts as one: a loop is worse than a topic left out
			copies[name] = id.Topic
		}
	}
	return copies, origins
}

// leaveOut takes those out of the selection that aren't mirrored, and says why.
func (fl *flow) leaveOut(selected map[string]rawkafka.Topic, back map[string]string) map[string]string {
	out := make(map[string]string)
	for name := range selected {
		switch from, isCopy := back[name]; {
		case isCopy:
			out[name] = fmt.Sprintf("it is a copy of the target's topic %s", from)
		case fl.source.ID() == fl.target.ID() && strings.HasPrefix(name, fl.cfg.Prefix):
			out[name] = "it has the copies' prefix, on the same cluster"
		case fl.comesBack(name):
			out[name] = fmt.Sprintf("its copy would be %s: its name begins with the copies' prefix, so it is one that came back", fl.cfg.Prefix+name)
		case len(fl.cfg.Prefix)+len(name) > topics.MaxName:
			out[name] = "its name is too long with the prefix"
		}
	}
	for name := range out {
		delete(selected, name)
	}
	return out
}
