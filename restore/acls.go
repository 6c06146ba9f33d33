package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/storage"
)

// planACLs chooses the entries to create: those of restored topics, under
// their new names, and all that name no single topic.
func (p *planner) planACLs(ctx context.Context) error {
	c, err := p.cfg.Snapshot.Cluster(ctx)
	if f, ok := unreadOf(err); ok && !p.cfg.ACLs {
		p.warn("what the manifest says of the source's ACLs, quotas and users can't be read: %s", f)
		return nil
	} else if ok {
		p.spoilt(clusterConflict(f.kind, "what the manifest says of ACLs can't be read: %s", f))
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	p.notRestored(c)
	if !p.cfg.ACLs {
		return nil
	}
	if why, ok := c.Unread["acls"]; ok {
		p.warn("the snapshot has no ACLs: %s", why)
		return nil
	}
	names := map[string]string{}
	for _, t := range p.topics {
		names[t.source.Name] = t.name
	}
	for _, a := range c.ACLs {
		if strings.EqualFold(a.ResourceType, "topic") && a.ResourceName != "*" {
			if strings.EqualFold(a.PatternType, "prefixed") {
				a.ResourceName = p.cfg.Prefix + a.ResourceName
			} else if a.ResourceName = names[a.ResourceName]; a.ResourceName == "" {
				continue
			}
		}
		p.acls = append(p.acls, a)
	}
	p.plan.ACLs = len(p.acls)
	if len(p.acls) == 0 {
		return nil
	}
	return p.checkACLs(ctx)
}

// notRestored names what a snapshot holds and no restore brings back.
func (p *planner) notRestored(c storage.Cluster) {
	if n := len(c.Quotas); n > 0 {
		p.warn("%d client quotas of the snapshot aren't restored", n)
	}
	if n := len(c.ScramUsers); n > 0 {
		p.warn("%d SCRAM users of the snapshot aren't restored: Kafka doesn't give out credentials", n)
	}
	if n := len(c.ACLs); n > 0 && !p.cfg.ACLs {
		p.warn("%d ACLs of the snapshot aren't restored, unasked", n)
	}
}

// checkACLs asks whether the target has an authorizer that lets us.
func (p *planner) checkACLs(ctx context.Context) error {
	b := kadm.NewACLs().ResourcePatternType(kadm.ACLPatternAny).AnyResource().Operations().Allow().AllowHosts().Deny().DenyHosts()
	rs, err := p.cluster.Admin().DescribeACLs(ctx, b)
	for _, r := range rs {
		err = errors.Join(err, r.Err)
	}
	var auth *kadm.AuthError
	switch {
	case err == nil:
	case errors.Is(err, kerr.SecurityDisabled), errors.Is(err, kerr.ClusterAuthorizationFailed), errors.As(err, &auth):
		p.refuse(clusterConflict("acls", "the target takes no ACLs: %v", err))
	default:
		return fmt.Errorf("restore: target: acls: %w", err)
	}
	return nil
}

// createACLs creates the planned entries; those that exist stay.
func (r *runner) createACLs(ctx context.Context) error {
	for chunk := range slices.Chunk(r.acls, adminTopics) {
		req := kmsg.NewPtrCreateACLsRequest()
		for _, a := range chunk {
			c, err := creationOf(a)
			if err != nil {
				return fmt.Errorf("restore: acls: %w", err)
			}
			req.Creations = append(req.Creations, c)
		}
		resp, err := req.RequestWith(ctx, r.cluster.Client())
		if err != nil {
			return fmt.Errorf("restore: acls: %w", err)
		}
		for i, res := range resp.Results {
			if err := answer(res.ErrorCode, res.ErrorMessage); err != nil && i < len(chunk) {
				return fmt.Errorf("restore: acls: %s %s of %s: %w", chunk[i].ResourceType, quote.Name(chunk[i].ResourceName), quote.Name(chunk[i].Principal), err)
			}
		}
	}
	return nil
}

func creationOf(a storage.ACL) (kmsg.CreateACLsRequestCreation, error) {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceName, c.Principal, c.Host = a.ResourceName, a.Principal, a.Host
	var errs [4]error
	c.ResourceType, errs[0] = kmsg.ParseACLResourceType(a.ResourceType)
	c.ResourcePatternType, errs[1] = kmsg.ParseACLResourcePatternType(a.PatternType)
	c.Operation, errs[2] = kmsg.ParseACLOperation(a.Operation)
	c.PermissionType, errs[3] = kmsg.ParseACLPermissionType(a.Permission)
	return c, errors.Join(errs[:]...)
}
