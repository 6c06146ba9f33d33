// Package probe says whether a Kafka cluster can be used.
//
// A [Probe] looks at a cluster once; [Metadata], [TCP], [RoundTrip] and [OfflinePartitions] are
// given, [AllOf], [AnyOf] and [WithTimeout] put them together, and any func of one's own will do. A
// [Monitor] looks again and again, and says by a [Rule] whether the cluster is down.
//
// # What is a disaster
//
// By default a cluster is down when 3 of the last 5 looks, a second apart, failed, the last two in
// a row among them. What each probe sees (- is healthy), in a cluster of three brokers that are all
// among the seeds:
//
//	                                 Metadata       TCP            RoundTrip      OfflinePartitions
//	one broker lost, or two          -              -              -              -                  RoundTrip: on a topic of one replica a broker, see its config
//	one broker hangs                 -              -              -              -
//	one topic has no leader          -              -              -              -
//	most partitions have no leader   -              -              offline        offline            RoundTrip: no partition of the canary topic has one
//	too few replicas in sync         -              -              canary         -
//	records can't be read            -              -              timeout        -
//	all brokers lost                 unreachable    unreachable    unreachable    unreachable
//	all brokers hang, or a blackhole timeout        - or timeout   timeout        timeout            TCP: the kernel of a stopped process goes on accepting
//	slow, within Rule.Timeout        -              -              -              -                  Rule.SlowerThan makes it a failure
//
// These can't be told from the outside, and never make a cluster down unless [Rule.AlsoDown] says
// so; the state is then unknown, and [Status] names the fault:
//
//	credentials wrong or expired     auth           -              auth           auth
//	certificate not accepted         auth           -              auth           auth
//	rights missing                   -              -              denied         denied             OfflinePartitions: for topics that are named; else it sees none
//	another cluster answers          wrong_cluster  -              -              -                  where MetadataConfig.ClusterID is given
//	canary topic missing             -              -              config         -
//	client options wrong             config         config         config         config
//
// Where brokers differ in what they say, one that is well is enough; else what an answer tells
// comes before silence, so that a cluster of which one broker refuses a login isn't down. An error
// that isn't a [Fault], of a probe of one's own, counts as a failure.
//
// # Slow, flapping
//
// A look that is slow but within [Rule.Timeout] is a success. A cluster that fails every second
// look is suspect, never down. One that was down is healthy after 3 good looks in a row; one that
// is down again soon afterwards has to be well for 10 s, then 20 s, and so on up to 5 min.
// [Rule.Detection] is the bound of the time from a cluster's end until it is down: by default 9 s
// where it hangs.
//
// # Guarantees
//
// A probe asks all brokers that it has to ask at once, so that one that hangs doesn't hide that
// others answer. It closes its client, ends within a second of its context, and leaves nothing
// behind but [RoundTrip]'s records; only that, and only where it is told, creates a topic. The text
// of a [Fault] holds no secrets: what a login's own code returned is left out.
//
// # Limits
//
// A probe sees the cluster from where it runs. Cut off from a cluster that others reach, it says
// unreachable as well: run the monitor where the applications are. Metadata is what a broker
// believes: brokers that lost their controllers go on answering with what they knew, and only
// [RoundTrip] sees the difference, when leaders are lost. A disk that is full, or records that are
// lost, no probe sees but by what they do to the canary.
package probe
