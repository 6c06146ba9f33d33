// Package brokerconn makes sure that a connection leads to the cluster that is meant.
//
// # Guarantee
//
// An address may change its cluster while a client lives: a standby is made anew, a name or a proxy
// points elsewhere. A [Guard] wraps the connections of a client:
//
//   - ApiVersions and SASL pass. Before the first other request of a connection the guard sends a Metadata request of its own and reads the answer, on that connection. The request that
//     waited goes out only if the right cluster answered. So no other answer of a stranger's is believed, and nothing that changes something is sent to one.
//   - The cluster ID of every later Metadata and DescribeCluster answer is looked at, before a byte of the answer is handed on.
//
// A wrong ID closes the connection with a *[WrongClusterError]. It is within a *[net.OpError] of
// the operation "dial", so that kgo goes on to other brokers, as it does where a broker is down.
// The address isn't dialed again for a second; each later connection is looked at like the first,
// until the right cluster answers there.
//
// # Cost
//
// One round trip a connection. After that a length is read from each request and each response;
// nothing is copied but Metadata and DescribeCluster answers that come in parts.
//
// # Limits
//
// A proxy that keeps a client's connection and changes the cluster behind it is found at the next
// Metadata answer, not before. A broker that tells no cluster ID can't be told from another one: it
// is refused where an ID is known, and let through, said by [Config.OnUnknown], where none is. A
// stranger sees what is sent before: the client's name and the credentials of its login.
package brokerconn
