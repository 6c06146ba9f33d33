package failover

import (
	"context"
	"reflect"

	"github.com/twmb/franz-go/pkg/kgo"
)

// applications are options of [Config].Opts. A cluster's are for every connection to it: also for those that look for records in
// doubt, or ask what the copy has, while the application's client lives. Its hooks would see several clients, and a member of
// its group would join more than once.
var applications = []struct {
	name string
	opt  any
}{
	{"WithHooks", kgo.WithHooks}, {"ConsumerGroup", kgo.ConsumerGroup}, {"InstanceID", kgo.InstanceID}, {"ConsumeTopics", kgo.ConsumeTopics},
	{"ConsumePartitions", kgo.ConsumePartitions}, {"TransactionalID", kgo.TransactionalID},
}

// misplaced names the options among a cluster's that are the application's. Options that make no client name none: connecting
// says what is wrong with them.
func misplaced(opts []kgo.Opt) (names []string) {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithContext(dead))...)
	if err != nil {
		return nil
	}
	defer cl.CloseAllowingRebalance()
	for _, o := range applications {
		v := reflect.ValueOf(cl.OptValue(o.opt))
		set := v.IsValid() && !v.IsZero()
		if k := v.Kind(); set && (k == reflect.Map || k == reflect.Slice) {
			set = v.Len() > 0
		}
		if set {
			names = append(names, o.name)
		}
	}
	return names
}
