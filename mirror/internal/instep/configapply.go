package instep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apply notes what becomes ours, changes it, and notes what no more is.
func (s *Configs) apply(ctx context.Context, r *Report, changes []ConfigChange) error {
	before, after := map[string]any{}, map[string]any{}
	for _, c := range changes {
		var note configsNote
		if _, err := s.sides.Ledger.Get(configsKey(c.Topic), &note); err != nil {
			return err
		}
		if note.ID != c.id || !slices.Equal(note.Set, c.owned) {
			before[configsKey(c.Topic)] = configsNote{ID: c.id, Set: c.owned}
		}
	}
	if len(before) > 0 {
		if err := s.sides.Ledger.Put(ctx, before); err != nil {
			return err
		}
	}
	done := s.alter(ctx, r, changes, false)
	for _, c := range changes {
		if done[c.Topic] && !slices.Equal(c.owned, c.later) {
			after[configsKey(c.Topic)] = configsNote{ID: c.id, Set: c.later}
		}
	}
	if len(after) == 0 {
		return nil
	}
	return s.sides.Ledger.Put(ctx, after)
}

// alter changes configs, or asks whether they would be taken. It returns the topics of which all
// was taken.
func (s *Configs) alter(ctx context.Context, r *Report, changes []ConfigChange, validate bool) map[string]bool {
	done := map[string]bool{}
	for name, err := range s.request(ctx, changes, validate) {
		i := slices.IndexFunc(changes, func(c ConfigChange) bool { return c.Topic == name })
		if i < 0 {
			continue
		}
		c := changes[i]
		switch {
		case err == nil:
			r.Changed += len(c.names())
			done[name] = true
		case refuses(err) && len(c.names()) > 1:
			done[name] = s.oneByOne(ctx, r, c, validate)
		default:
			s.failed(r, c, err)
		}
	}
	for _, c := range changes {
		if c.empty() {
			done[c.Topic] = true
		}
	}
	return done
}

// oneByOne finds out which config isn't taken.
func (s *Configs) oneByOne(ctx context.Context, r *Report, c ConfigChange, validate bool) bool {
	all := true
	for _, name := range c.names() {
		one := ConfigChange{Topic: c.Topic}
		if value, ok := c.Set[name]; ok {
			one.Set = map[string]string{name: value}
		} else {
			one.Remove = []string{name}
		}
		all = s.alter(ctx, r, []ConfigChange{one}, validate)[c.Topic] && all
	}
	return all
}

// failed reports a change that wasn't made. A refused one isn't tried again for a while.
func (s *Configs) failed(r *Report, c ConfigChange, err error) {
	for _, name := range c.names() {
		what := "remove " + name
		if value, ok := c.Set[name]; ok {
			what = name + "=" + value
		}
		why, kind := fmt.Sprintf("%s: %v", what, err), ConfigFailed
		if refuses(err) {
			kind = ConfigRefused
			s.refused[configAt{c.Topic, name}] = refusal{value: c.Set[name], why: why, again: time.Now().Add(tryRefused)}
		}
		r.Failed++
		s.notices.note(r, Event{Kind: kind, Topic: c.Topic, Detail: why}, name)
	}
}

// refuses says whether an answer is about the config itself.
func refuses(err error) bool {
	for _, e := range []error{kerr.InvalidConfig, kerr.InvalidRequest, kerr.PolicyViolation} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// request sends changes of several topics, and returns the answer of each.
func (s *Configs) request(ctx context.Context, changes []ConfigChange, validate bool) map[string]error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validate
	answers := map[string]error{}
	for _, c := range changes {
		if c.empty() {
			continue
		}
		req.Resources = append(req.Resources, alteration(c))
		answers[c.Topic] = errors.New("the answer omits the topic")
	}
	if len(req.Resources) == 0 {
		return nil
	}
	err := retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.sides.Target.Client())
		if err != nil {
			return err
		}
		for _, rr := range resp.Resources {
			answers[rr.ResourceName] = answer(rr.ErrorCode, rr.ErrorMessage)
		}
		return nil
	})
	if err != nil {
		for name := range answers {
			answers[name] = err
		}
	}
	return answers
}

func alteration(c ConfigChange) kmsg.IncrementalAlterConfigsRequestResource {
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, c.Topic
	for _, name := range c.names() {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Op = name, kmsg.IncrementalAlterConfigOpDelete
		if value, ok := c.Set[name]; ok {
			rc.Op, rc.Value = kmsg.IncrementalAlterConfigOpSet, &value
		}
		rr.Configs = append(rr.Configs, rc)
	}
	return rr
}
