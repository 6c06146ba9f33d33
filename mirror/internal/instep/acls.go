package instep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const aclChunk = 200 // entries in one request

// ACLs keeps the ACLs of all resource and pattern types in step, those of topics under the copies'
// names. Entries that were created from here are deleted when the source has them no more; others
// on the standby stay. Use [NewACLs]; one Sync at a time.
//
// Rights to the cluster, to groups, transactional IDs, delegation tokens and users are carried as
// they are, whatever the policy for writes: what an administrator may do at the source, he may do
// on the standby. An entry that denies something is always carried.
type ACLs struct {
	sides   Sides
	writes  Writes
	notices notices
}

// NewACLs is ready to Sync. The default policy is [WritesWithheld].
func NewACLs(s Sides, w Writes) *ACLs {
	if w == "" {
		w = WritesWithheld
	}
	return &ACLs{sides: s.withDefaults(), writes: w}
}

// Plan says what Sync would change, and what there is to say about it.
func (s *ACLs) Plan(ctx context.Context, v View) (*ACLPlan, []Event, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, v, &r)
	return p, r.Events, err
}

// Sync makes the standby's ACLs what they should be.
func (s *ACLs) Sync(ctx context.Context, v View) (Report, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, v, &r)
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
func (s *ACLs) plan(ctx context.Context, v View, r *Report) (*ACLPlan, error) {
	src, err := s.read(ctx, r, s.sides.Source, "source")
	if err != nil || src == nil {
		return nil, err
	}
	dst, err := s.read(ctx, r, s.sides.Target, "standby")
	if err != nil || dst == nil {
		return nil, err
	}
	owned, err := readPages[ACL](s.sides.Ledger, s.sides.key("acls"))
	if err != nil {
		return nil, fmt.Errorf("instep: acls: %w", err)
	}
	p := planACLs(v, s.sides.Prefix, s.writes, src, dst, owned)
	r.Withheld = len(p.Withheld)
	if r.Withheld > 0 {
		names := make([]string, len(p.Withheld))
		for i, a := range p.Withheld {
			names[i] = a.String()
		}
		s.notices.note(r, Event{Kind: ACLsWithheld, Detail: fmt.Sprintf("%d rights to write to copies aren't given: %s", len(names), some(names))}, "")
	}
	return p, nil
}

// read reads a side's entries; nil, and it is said why, where it has none to give.
func (s *ACLs) read(ctx context.Context, r *Report, cl *rawkafka.Cluster, side string) ([]ACL, error) {
	acls := []ACL{}
	var unknown []string
	err := retry(ctx, func() (err error) {
		acls, unknown, err = describeACLs(ctx, cl)
		return err
	})
	switch {
	case errors.Is(err, kerr.SecurityDisabled):
		s.notices.note(r, Event{Kind: ACLsOff, Detail: "the " + side + " has no authorizer: no ACLs are carried"}, side)
		return nil, nil
	case err != nil && rawkafka.Denies(err):
		s.notices.note(r, Event{Kind: ACLsOff, Detail: fmt.Sprintf("no ACLs are carried, the %s doesn't tell them: %v", side, err)}, side)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("instep: acls: %s: %w", side, err)
	}
	if len(unknown) > 0 {
		s.notices.note(r, Event{Kind: ACLRefused, Detail: "ACLs of a type that isn't known here aren't carried: " + some(unknown)}, side)
	}
	return acls, nil
}

func describeACLs(ctx context.Context, cl *rawkafka.Cluster) (acls []ACL, unknown []string, err error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	resp, err := req.RequestWith(ctx, cl.Client())
	if err == nil {
		err = answer(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, nil, err
	}
	acls = []ACL{}
	for _, rs := range resp.Resources {
		for _, d := range rs.ACLs {
			a := ACL{
				ResourceType: rs.ResourceType.String(), ResourceName: rs.ResourceName, PatternType: rs.ResourcePatternType.String(),
				Principal: d.Principal, Host: d.Host, Operation: d.Operation.String(), Permission: d.PermissionType.String(),
			}
			if _, err := creation(a); err != nil {
				unknown = append(unknown, fmt.Sprintf("%s (type %d, operation %d)", a, rs.ResourceType, d.Operation))
				continue
			}
			acls = append(acls, a)
		}
	}
	slices.SortFunc(acls, ACL.compare)
	return acls, unknown, nil
}

// withheldKey is where the ledger has what is withheld.
func (s *ACLs) withheldKey() string { return s.sides.key("acls-withheld") }

// apply notes what becomes ours, creates and deletes, and notes what no more is ours. What the
// standby doesn't take stays noted as ours: it may have been taken after all.
func (s *ACLs) apply(ctx context.Context, r *Report, p *ACLPlan) error {
	l := s.sides.Ledger
	if err := writePages(ctx, l, s.sides.key("acls"), p.owned); err != nil {
		return fmt.Errorf("instep: acls: %w", err)
	}
	if err := writePages(ctx, l, s.withheldKey(), p.Withheld); err != nil {
		return fmt.Errorf("instep: acls: %w", err)
	}
	for chunk := range slices.Chunk(p.Create, aclChunk) {
		s.count(r, chunk, s.create(ctx, chunk))
	}
	later := setOf(p.later)
	for chunk := range slices.Chunk(p.Delete, aclChunk) {
		errs := s.remove(ctx, chunk)
		s.count(r, chunk, errs)
		for i, err := range errs {
			if err != nil {
				later[chunk[i]] = true
			}
		}
	}
	if err := ended(ctx); err != nil {
		return err
	}
	if err := writePages(ctx, l, s.sides.key("acls"), sorted(later)); err != nil {
		return fmt.Errorf("instep: acls: %w", err)
	}
	return nil
}

func (s *ACLs) count(r *Report, acls []ACL, errs []error) {
	for i, err := range errs {
		if err == nil {
			r.Changed++
			continue
		}
		r.Failed++
		s.notices.note(r, Event{Kind: ACLRefused, Detail: fmt.Sprintf("%s: %v", acls[i], err)}, acls[i].String())
	}
}

func (s *ACLs) create(ctx context.Context, acls []ACL) []error {
	req := kmsg.NewPtrCreateACLsRequest()
	for _, a := range acls {
		c, _ := creation(a) // it was made once when it was read
		req.Creations = append(req.Creations, c)
	}
	errs := make([]error, len(acls))
	err := retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.sides.Target.Client())
		if err != nil {
			return err
		}
		for i := range errs {
			if errs[i] = errShort; i < len(resp.Results) {
				errs[i] = answer(resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage)
			}
		}
		return nil
	})
	return orAll(errs, err)
}

func (s *ACLs) remove(ctx context.Context, acls []ACL) []error {
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, a := range acls {
		req.Filters = append(req.Filters, filterOf(a))
	}
	errs := make([]error, len(acls))
	err := retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.sides.Target.Client())
		if err != nil {
			return err
		}
		for i := range errs {
			if errs[i] = errShort; i < len(resp.Results) {
				errs[i] = answer(resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage)
			}
		}
		return nil
	})
	return orAll(errs, err)
}

var errShort = errors.New("the answer is too short")

// orAll gives every item the error of the request, where there is one.
func orAll(errs []error, err error) []error {
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

func creation(a ACL) (kmsg.CreateACLsRequestCreation, error) {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceName, c.Principal, c.Host = a.ResourceName, a.Principal, a.Host
	var errs [4]error
	c.ResourceType, errs[0] = kmsg.ParseACLResourceType(a.ResourceType)
	c.ResourcePatternType, errs[1] = kmsg.ParseACLResourcePatternType(a.PatternType)
	c.Operation, errs[2] = kmsg.ParseACLOperation(a.Operation)
	c.PermissionType, errs[3] = kmsg.ParseACLPermissionType(a.Permission)
	return c, errors.Join(errs[:]...)
}

// filterOf matches exactly one entry.
func filterOf(a ACL) kmsg.DeleteACLsRequestFilter {
	c, _ := creation(a)
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = c.ResourceType, &a.ResourceName, c.ResourcePatternType
	f.Principal, f.Host, f.Operation, f.PermissionType = &a.Principal, &a.Host, c.Operation, c.PermissionType
	return f
}
