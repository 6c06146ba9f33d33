package instep

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const quotaChunk = 200 // values in one request

// Quotas keeps client quotas in step: of users, client IDs and addresses, and their defaults. Those
// that were set from here are removed when the source has them no more; others on the standby stay.
// SCRAM users, which can't be carried, are named. Use [NewQuotas]; one Sync at a time.
//
// A default of users or client IDs would hold the mirror itself back on the standby: its client ID
// gets quotas of its own beside those that are carried.
type Quotas struct {
	sides   Sides
	notices notices
}

// NewQuotas is ready to Sync.
func NewQuotas(s Sides) *Quotas { return &Quotas{sides: s.withDefaults()} }

// Plan says what Sync would change, and what there is to say about it.
func (s *Quotas) Plan(ctx context.Context, _ View) (*QuotaPlan, []Event, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, &r)
	return p, r.Events, err
}

// Sync makes the standby's quotas what they should be.
func (s *Quotas) Sync(ctx context.Context, _ View) (Report, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, &r)
	if err == nil && p != nil {
		err = s.apply(ctx, &r, p)
	}
	if err != nil {
		return r, err
	}
	s.notices.end()
	return r, nil
}

// plan reads both sides and compares them; nil where there is nothing to compare.
func (s *Quotas) plan(ctx context.Context, r *Report) (*QuotaPlan, error) {
	s.scram(ctx, r)
	src, err := s.read(ctx, r, s.sides.Source, "source")
	if err != nil || src == nil {
		return nil, err
	}
	dst, err := s.read(ctx, r, s.sides.Target, "standby")
	if err != nil || dst == nil {
		return nil, err
	}
	owned, err := readPages[Quota](s.sides.Ledger, s.sides.key("quotas"))
	if err != nil {
		return nil, fmt.Errorf("instep: quotas: %w", err)
	}
	free := exempt(src, s.sides.ClientID)
	if len(free) > 0 {
		s.notices.note(r, Event{Kind: QuotaOwn, Detail: fmt.Sprintf("%d quotas of its own keep defaults that are carried from holding the mirror back: they are of the client ID %q, for whoever uses it",
			len(free), s.sides.ClientID)}, "")
	}
	return planQuotas(append(src, free...), dst, owned), nil
}

// read reads a side's quotas; nil, and it is said why, where it doesn't tell them.
func (s *Quotas) read(ctx context.Context, r *Report, cl *rawkafka.Cluster, side string) ([]Quota, error) {
	quotas := []Quota{}
	err := retry(ctx, func() error {
		resp, err := kmsg.NewPtrDescribeClientQuotasRequest().RequestWith(ctx, cl.Client())
		if err == nil {
			err = answer(resp.ErrorCode, resp.ErrorMessage)
		}
		if err != nil {
			return err
		}
		quotas = quotas[:0]
		for _, e := range resp.Entries {
			entity := map[string]*string{}
			for _, part := range e.Entity {
				entity[part.Type] = part.Name
			}
			for _, v := range e.Values {
				quotas = append(quotas, Quota{Entity: entity, Key: v.Key, Value: v.Value})
			}
		}
		return nil
	})
	switch {
	case err == nil:
		return quotas, nil
	case rawkafka.Denies(err), rawkafka.Unsupported(err):
		s.notices.note(r, Event{Kind: QuotasUnread, Detail: fmt.Sprintf("no quotas are carried, the %s doesn't tell them: %v", side, err)}, side)
		return nil, nil
	}
	return nil, fmt.Errorf("instep: quotas: %s: %w", side, err)
}

// scram names the source's SCRAM users. Where they can't be read there is nothing to name.
func (s *Quotas) scram(ctx context.Context, r *Report) {
	resp, err := rawkafka.ScramUsers().RequestWith(ctx, s.sides.Source.Client())
	if err != nil || resp.ErrorCode != 0 {
		return
	}
	var users []string
	for _, u := range resp.Results {
		users = append(users, u.User)
	}
	if len(users) == 0 {
		return
	}
	slices.Sort(users)
	s.notices.note(r, Event{Kind: ScramUsers, Detail: fmt.Sprintf("%d SCRAM users aren't carried, Kafka gives out no credentials; create them on the standby: %s",
		len(users), some(quoted(users)))}, "")
}

// apply notes what becomes ours, sets and removes, and notes what no more is ours.
func (s *Quotas) apply(ctx context.Context, r *Report, p *QuotaPlan) error {
	if err := writePages(ctx, s.sides.Ledger, s.sides.key("quotas"), p.owned); err != nil {
		return fmt.Errorf("instep: quotas: %w", err)
	}
	later := byID(p.later)
	s.alter(ctx, r, p.Set, false)
	for _, q := range s.alter(ctx, r, p.Remove, true) {
		q.Value = 0
		later[q.id()] = q
	}
	if err := ended(ctx); err != nil {
		return err
	}
	kept := slices.SortedFunc(maps.Values(later), Quota.compare)
	if err := writePages(ctx, s.sides.Ledger, s.sides.key("quotas"), kept); err != nil {
		return fmt.Errorf("instep: quotas: %w", err)
	}
	return nil
}

// alter sets or removes quotas, and returns those that the standby didn't take.
func (s *Quotas) alter(ctx context.Context, r *Report, quotas []Quota, remove bool) []Quota {
	var failed []Quota
	for chunk := range slices.Chunk(quotas, quotaChunk) {
		refused := s.request(ctx, chunk, remove)
		for _, q := range chunk {
			err := refused[q.entity()]
			if err == nil {
				r.Changed++
				continue
			}
			r.Failed++
			failed = append(failed, q)
			s.notices.note(r, Event{Kind: QuotaRefused, Detail: fmt.Sprintf("%s: %v", q, err)}, q.entity()+"/"+q.Key)
		}
	}
	return failed
}

// request alters several, and returns the errors by entity. Values of one entity go together.
func (s *Quotas) request(ctx context.Context, quotas []Quota, remove bool) map[string]error {
	req := kmsg.NewPtrAlterClientQuotasRequest()
	at := map[string]int{}
	for _, q := range quotas {
		i, ok := at[q.entity()]
		if !ok {
			i = len(req.Entries)
			at[q.entity()] = i
			req.Entries = append(req.Entries, entryOf(q))
		}
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Value, op.Remove = q.Key, q.Value, remove
		req.Entries[i].Ops = append(req.Entries[i].Ops, op)
	}
	errs := map[string]error{}
	err := retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.sides.Target.Client())
		if err != nil {
			return err
		}
		for entity := range at {
			errs[entity] = errShort
		}
		for _, e := range resp.Entries {
			entity := map[string]*string{}
			for _, part := range e.Entity {
				entity[part.Type] = part.Name
			}
			errs[Quota{Entity: entity}.entity()] = answer(e.ErrorCode, e.ErrorMessage)
		}
		return nil
	})
	if err != nil {
		for entity := range at {
			errs[entity] = err
		}
	}
	return errs
}

func entryOf(q Quota) kmsg.AlterClientQuotasRequestEntry {
	e := kmsg.NewAlterClientQuotasRequestEntry()
	for _, kind := range slices.Sorted(maps.Keys(q.Entity)) {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		part.Type, part.Name = kind, q.Entity[kind]
		e.Entity = append(e.Entity, part)
	}
	return e
}
