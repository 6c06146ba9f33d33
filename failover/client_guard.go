package failover

import "github.com/twmb/franz-go/pkg/kmsg"

// changes says whether a request changes something on the cluster that others see: those are
// refused where the lease is over, whoever asks for them, [Client.Do] too. A request that isn't
// known counts as one. What only reads, connects, or keeps a group's membership doesn't.
//
// InitProducerID is sent at any time: kgo asks for an ID again and again, without a pause, where
// its requests are refused. Without a transactional ID it changes nothing; with one it ends what
// the same application's producer has under way there.
func changes(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate,
		kmsg.Metadata, kmsg.FindCoordinator, kmsg.Fetch, kmsg.ListOffsets, kmsg.OffsetForLeaderEpoch, kmsg.OffsetFetch, kmsg.InitProducerID,
		kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.ConsumerGroupHeartbeat,
		kmsg.ShareGroupHeartbeat, kmsg.StreamsGroupHeartbeat,
		kmsg.DescribeGroups, kmsg.ListGroups, kmsg.ConsumerGroupDescribe, kmsg.ShareGroupDescribe, kmsg.StreamsGroupDescribe,
		kmsg.DescribeShareGroupOffsets,
		kmsg.DescribeACLs, kmsg.DescribeConfigs, kmsg.ListConfigResources, kmsg.DescribeLogDirs, kmsg.DescribeDelegationToken,
		kmsg.ListPartitionReassignments, kmsg.DescribeClientQuotas, kmsg.DescribeUserSCRAMCredentials, kmsg.DescribeQuorum,
		kmsg.DescribeCluster, kmsg.DescribeProducers, kmsg.DescribeTransactions, kmsg.ListTransactions,
		kmsg.DescribeTopicPartitions, kmsg.GetTelemetrySubscriptions, kmsg.PushTelemetry:
		return false
	}
	return true
}
