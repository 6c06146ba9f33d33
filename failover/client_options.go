package failover

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// applications are options of [Config].Opts; METHODS.md says of all of kgo's where they belong. A
// cluster's are for every connection to it: also for those that look for records in doubt, or ask
// what the copy has, while the application's client lives. Its hooks would see several clients, and
// a member of its group would join more than once.
var applications = []any{
	kgo.WithHooks, kgo.WithPools, kgo.UserMetricsFn, kgo.TransactionalID, kgo.ProducerOnDataLossDetected,
	kgo.ConsumeTopics, kgo.ConsumePartitions, kgo.ConsumeRegex, kgo.ConsumeExcludeTopics, kgo.ConsumePreferringLagFn,
	kgo.ConsumerGroup, kgo.InstanceID, kgo.ServerSideBalancer, kgo.GroupProtocol, kgo.Balancers, kgo.SessionTimeout, kgo.RebalanceTimeout,
	kgo.HeartbeatInterval, kgo.BlockRebalanceOnPoll, kgo.AdjustFetchOffsetsFn, kgo.OnOffsetsFetched, kgo.OnPartitionsAssigned,
	kgo.OnPartitionsRevoked, kgo.OnPartitionsLost, kgo.OnPartitionsCallbackBlocked, kgo.AutoCommitCallback, kgo.AutoCommitInterval,
	kgo.AutoCommitMarks, kgo.GreedyAutoCommit, kgo.DisableAutoCommit,
}

// clustersOwn are a cluster's: in [Config].Opts they would be every cluster's.
var clustersOwn = []any{kgo.SeedBrokers, kgo.OnRebootstrapRequired}

// unsupported are options of share groups, whose state is one cluster's.
var unsupported = []any{kgo.ShareGroup, kgo.ShareAckCallback, kgo.ShareMaxRecords, kgo.ShareMaxRecordsStrict}

// optionName is kgo's name of an option.
func optionName(option any) string {
	name := runtime.FuncForPC(reflect.ValueOf(option).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// among names those of options that opts have. Of group options that make no client without a
// group, one is named by its kind. Other options that make no client name none: connecting says
// what is wrong with them.
func among(options []any, opts []kgo.Opt) (names []string) {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	plain, err := kgo.NewClient(kgo.WithContext(dead))
	if err != nil {
		return nil
	}
	defer plain.CloseAllowingRebalance()
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithContext(dead))...)
	if err != nil {
		for _, o := range opts {
			if _, group := o.(kgo.GroupOpt); group && slices.ContainsFunc(options, isGroups) {
				return []string{"GroupOpt"}
			}
		}
		return nil
	}
	defer cl.CloseAllowingRebalance()
	for _, o := range options {
		if name := optionName(o); !sameValue(cl.OptValue(o), plain.OptValue(o)) {
			names = append(names, name)
		}
	}
	return names
}

func isGroups(option any) bool { return optionName(option) == optionName(kgo.ConsumerGroup) }

// sameValue compares what options are set to: no value of a list is as an empty one.
func sameValue(a, b any) bool {
	if x, y := reflect.ValueOf(a), reflect.ValueOf(b); x.IsValid() && y.IsValid() && (x.Kind() == reflect.Map || x.Kind() == reflect.Slice) && x.Len()+y.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}
