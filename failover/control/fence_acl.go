package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// DenyWrites is a [Fencer] of ACLs: it denies WRITE on each of the scope's topics by its literal
// name, from every host. A deny goes before every allow. It confirms once every broker that the
// cluster has shows them, so that every produce request that a broker takes up from then on is
// refused; one that is in a broker's hands already may still be appended, within milliseconds.
// Super users aren't bound by ACLs (super.users, which brokers tell nobody), and a cluster without
// an authorizer has none: that is an error, and no fence.
//
// An ACL that is there isn't yet one that binds. So it confirms only what it has seen: with an
// application's credentials (Applications) each broker is sent a Produce to each topic whose batch
// has a wrong CRC. Brokers authorize first, so that one who is bound gets
// TOPIC_AUTHORIZATION_FAILED of each of them, and look at the CRC before they append, so that
// nothing is written by one who isn't. Any other answer is an error that names it; the fence stays,
// and the switch waits for the lease.
//
// It keeps nothing in memory: another process lifts what this one has set. An ACL of the same
// topic, principal, host and operation that somebody else has set is lifted with it.
type DenyWrites struct {
	// Except are principals that go on writing, such as the mirror's: "User:mirror". Default none,
	// and User:* is denied. Kafka knows no exceptions from User:*; with Except, the principals that
	// ACLs allow to write are denied one by one instead, and where User:* is allowed, or nothing at
	// all is said of who may write, that is an error.
	Except []string
	// Opts are the client's options for a cluster whose ACLs it may alter (ALTER and DESCRIBE on
	// Cluster). Default: the [failover.Cluster]'s own.
	Opts func(cluster string) []kgo.Opt
	// Applications are the client's options of applications that write to a cluster, one for each
	// principal. Default: the [failover.Cluster]'s own.
	Applications func(cluster string) [][]kgo.Opt
	// Trust takes the fence for one that binds once every broker shows its ACLs, without having
	// seen it: for who knows that no application has the credentials of a super user. Default off.
	Trust bool
}

const everybody = "User:*"

// Fence implements [Fencer].
func (d DenyWrites) Fence(ctx context.Context, r FenceRequest) (bool, error) {
	cl, err := admin(ctx, r.Cluster, d.Opts)
	if err != nil {
		return false, err
	}
	defer cl.Close()
	denies, err := d.denies(ctx, cl.Client(), r.Topics, true)
	if err != nil {
		return false, err
	}
	if err := createACLs(ctx, cl.Client(), denies); err != nil {
		return false, err
	}
	confirmed, err := d.confirm(ctx, cl, denies)
	if err != nil || !confirmed || d.Trust {
		return confirmed, err
	}
	return d.shown(ctx, cl, r)
}

// Lift implements [Fencer].
func (d DenyWrites) Lift(ctx context.Context, r FenceRequest) error {
	cl, err := admin(ctx, r.Cluster, d.Opts)
	if err != nil {
		return err
	}
	defer cl.Close()
	denies, err := d.denies(ctx, cl.Client(), r.Topics, false)
	if errors.Is(err, kerr.SecurityDisabled) {
		return nil // then there never was a fence
	}
	if err != nil || len(denies) == 0 {
		return err
	}
	req := kmsg.NewPtrDeleteACLsRequest()
	for i := range denies {
		a := &denies[i]
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = a.ResourceType, &a.ResourceName, a.ResourcePatternType
		f.Principal, f.Host, f.Operation, f.PermissionType = &a.Principal, &a.Host, a.Operation, a.PermissionType
		req.Filters = append(req.Filters, f)
	}
	resp, err := req.RequestWith(ctx, cl.Client())
	if err != nil {
		return fmt.Errorf("delete ACLs: %w", err)
	}
	for _, r := range resp.Results {
		if err := codeError(r.ErrorCode, r.ErrorMessage); err != nil && !errors.Is(err, kerr.SecurityDisabled) {
			return fmt.Errorf("delete ACLs: %w", err)
		}
	}
	return nil
}

// denies are the ACLs of a fence. A strict one is to keep everybody off.
func (d DenyWrites) denies(ctx context.Context, cl *kgo.Client, topics []string, strict bool) ([]kmsg.CreateACLsRequestCreation, error) {
	principals := func(string) []string { return []string{everybody} }
	if len(d.Except) > 0 {
		allowed, err := writers(ctx, cl)
		if err != nil {
			return nil, err
		}
		principals = allowed.of
	}
	var denies []kmsg.CreateACLsRequestCreation
	for _, topic := range topics {
		who := principals(topic)
		if strict && len(d.Except) > 0 && (len(who) == 0 || slices.Contains(who, everybody)) {
			return nil, fmt.Errorf("topic %s: everybody may write, or that isn't said by ACLs: none can be excepted from a fence", topic)
		}
		for _, principal := range who {
			if !slices.Contains(d.Except, principal) {
				denies = append(denies, denial(topic, principal))
			}
		}
	}
	return denies, nil
}

func denial(topic, principal string) kmsg.CreateACLsRequestCreation {
	a := kmsg.NewCreateACLsRequestCreation()
	a.ResourceType, a.ResourceName, a.ResourcePatternType = kmsg.ACLResourceTypeTopic, topic, kmsg.ACLResourcePatternTypeLiteral
	a.Principal, a.Host, a.Operation, a.PermissionType = principal, "*", kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeDeny
	return a
}

// allows are the ACLs that allow to write topics.
type allows []kmsg.DescribeACLsResponseResource

// writers asks for them.
func writers(ctx context.Context, cl *kgo.Client) (allows, error) {
	resp, err := describeTopicACLs(kmsg.ACLPermissionTypeAllow).RequestWith(ctx, cl)
	if err == nil {
		err = codeError(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("describe ACLs: %w", err)
	}
	return resp.Resources, nil
}

// of are the principals that may write a topic, sorted.
func (a allows) of(topic string) []string {
	var who []string
	for _, r := range a {
		switch {
		case r.ResourcePatternType == kmsg.ACLResourcePatternTypePrefixed && strings.HasPrefix(topic, r.ResourceName):
		case r.ResourcePatternType == kmsg.ACLResourcePatternTypeLiteral && (r.ResourceName == topic || r.ResourceName == "*"):
		default:
			continue
		}
		for _, acl := range r.ACLs {
			if acl.Operation == kmsg.ACLOperationWrite || acl.Operation == kmsg.ACLOperationAll {
				who = append(who, acl.Principal)
			}
		}
	}
	slices.Sort(who)
	return slices.Compact(who)
}

func describeTopicACLs(permission kmsg.ACLPermissionType) *kmsg.DescribeACLsRequest {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, permission
	return req
}

// confirm asks every broker, for each goes by its own copy of the ACLs, until all have them.
func (d DenyWrites) confirm(ctx context.Context, cl *rawkafka.Cluster, denies []kmsg.CreateACLsRequestCreation) (bool, error) {
	for n := 0; ; n++ {
		missing, err := unfenced(ctx, cl, denies)
		if err == nil && missing == "" {
			return true, nil
		}
		if err == nil {
			err = errors.New(missing)
		}
		if slept := rawkafka.Sleep(ctx, min(rawkafka.Backoff(n)/10, settled/10)); slept != nil {
			return false, fmt.Errorf("not confirmed: %w", errors.Join(err, slept))
		}
	}
}

// unfenced names a broker that doesn't show all denials yet, or none.
func unfenced(ctx context.Context, cl *rawkafka.Cluster, denies []kmsg.CreateACLsRequestCreation) (string, error) {
	brokers, err := cl.Admin().ListBrokers(ctx)
	if err != nil {
		return "", fmt.Errorf("list brokers: %w", err)
	}
	for _, b := range brokers {
		answer, err := cl.Request(ctx, b.NodeID, describeTopicACLs(kmsg.ACLPermissionTypeDeny))
		if err != nil {
			return "", fmt.Errorf("broker %d: describe ACLs: %w", b.NodeID, err)
		}
		resp := answer.(*kmsg.DescribeACLsResponse)
		if err := codeError(resp.ErrorCode, resp.ErrorMessage); err != nil {
			return "", fmt.Errorf("broker %d: describe ACLs: %w", b.NodeID, err)
		}
		there := map[[2]string]bool{} // topic and principal
		for _, r := range resp.Resources {
			for _, acl := range r.ACLs {
				a := denial(r.ResourceName, acl.Principal)
				if r.ResourcePatternType == a.ResourcePatternType && acl.Host == a.Host && acl.Operation == a.Operation {
					there[[2]string{a.ResourceName, a.Principal}] = true
				}
			}
		}
		for _, a := range denies {
			if !there[[2]string{a.ResourceName, a.Principal}] {
				return fmt.Sprintf("broker %d doesn't deny %s to write %s yet", b.NodeID, a.Principal, a.ResourceName), nil
			}
		}
	}
	return "", nil
}

// createACLs creates them; those that are there already are no error of Kafka's.
func createACLs(ctx context.Context, cl *kgo.Client, acls []kmsg.CreateACLsRequestCreation) error {
	if len(acls) == 0 {
		return nil
	}
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = acls
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("create ACLs: %w", err)
	}
	var errs []error
	for _, r := range resp.Results {
		if err := codeError(r.ErrorCode, r.ErrorMessage); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("create ACLs: %d of %d: %w", len(errs), len(acls), errs[0])
	}
	return nil
}

func codeError(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%w: %s", err, *message)
	}
	return err
}

// admin connects to a cluster, by options of its own where there are some, and refuses another one
// than is meant.
func admin(ctx context.Context, c failover.Cluster, opts func(cluster string) []kgo.Opt) (*rawkafka.Cluster, error) {
	if opts != nil {
		c.Opts, c.Paths = opts(c.Name), nil
	}
	cl, err := kafkaAccess{}.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.ID != "" && cl.ID() != c.ID {
		defer cl.Close()
		return nil, fmt.Errorf("%s: %w: its ID is %s, not %s", c.Name, errOtherCluster, cl.ID(), c.ID)
	}
	return cl, nil
}
