package testkafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// properties are a broker's server.properties.
func (c *cluster) properties(b *broker) string {
	p := map[string]string{
		"process.roles":                                "broker,controller",
		"node.id":                                      fmt.Sprint(b.id),
		"controller.quorum.voters":                     c.voters(),
		"controller.listener.names":                    "CONTROLLER",
		"listeners":                                    c.listeners(b),
		"log.dirs":                                     b.logDir(),
		"num.partitions":                               "1",
		"auto.create.topics.enable":                    "false",
		"offsets.topic.num.partitions":                 "4",
		"transaction.state.log.num.partitions":         "4",
		"share.coordinator.state.topic.num.partitions": "1",
		"group.initial.rebalance.delay.ms":             "0",
		"log.initial.task.delay.ms":                    "500",
		"log.retention.check.interval.ms":              "1000",
		"log.cleaner.backoff.ms":                       "500",
		"log.segment.delete.delay.ms":                  "1000",
		"log.cleaner.dedupe.buffer.size":               "4194304",
		"num.network.threads":                          "2",
		"num.io.threads":                               "4",
	}
	for _, k := range []string{"offsets.topic.replication.factor", "transaction.state.log.replication.factor",
		"share.coordinator.state.topic.replication.factor", "default.replication.factor"} {
		p[k] = fmt.Sprint(len(c.brokers))
	}
	minISR := fmt.Sprint((len(c.brokers) + 1) / 2)
	p["transaction.state.log.min.isr"], p["share.coordinator.state.topic.min.isr"] = minISR, minISR
	if c.sec != nil {
		c.secure(p)
	}
	if c.o.Tiered {
		c.tier(p)
	}
	maps.Copy(p, c.o.Configs)
	return render(p)
}

// secure adds a listener for clients with TLS and SCRAM; brokers and controllers talk to each other
// in the clear, as a super user.
func (c *cluster) secure(p map[string]string) {
	maps.Copy(p, map[string]string{
		"listener.security.protocol.map":                      "CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                          "INTERNAL",
		"sasl.enabled.mechanisms":                             "SCRAM-SHA-512",
		"ssl.keystore.type":                                   "PEM",
		"ssl.keystore.location":                               c.sec.keyFile,
		"ssl.truststore.type":                                 "PEM",
		"ssl.truststore.location":                             c.sec.caFile,
		"authorizer.class.name":                               "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                         "User:" + adminUser + ";User:ANONYMOUS",
		"allow.everyone.if.no.acl.found":                      "false",
		"listener.name.client.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
	})
}

func (c *cluster) voters() string {
	var vs []string
	for _, b := range c.brokers {
		vs = append(vs, fmt.Sprintf("%d@127.0.0.1:%d", b.id, b.controllerPort))
	}
	return strings.Join(vs, ",")
}

func (c *cluster) listeners(b *broker) string {
	if c.sec == nil {
		return fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", b.port, b.controllerPort)
	}
	return fmt.Sprintf("CLIENT://127.0.0.1:%d,INTERNAL://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", b.port, b.internalPort, b.controllerPort)
}

func render(p map[string]string) string {
	var sb strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&sb, "%s=%s\n", k, strings.ReplaceAll(p[k], "\\", "\\\\"))
	}
	return sb.String()
}
