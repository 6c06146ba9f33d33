// Package failoverprom gives the status of failover clients and controllers to Prometheus, with
// alert rules for them.
//
//	prometheus.MustRegister(failoverprom.Client(client))
//	prometheus.MustRegister(failoverprom.Controller(controller))
//
// A collector reads the status when it is scraped and keeps nothing running. It is a module of its
// own: the library links no metrics exporter.
//
// # Series
//
// All names begin with kafkadr_failover_, those of clients with kafkadr_failover_client_, and all
// have the label scope. What isn't known has no series, rather than a made-up value. What is
// counted is counted since the client or controller was made. A client has 15 series and 7 of its
// last switch, a controller 15 and two for each cluster. Two clients of one scope in one process
// need another label each: [prometheus.WrapRegistererWith].
//
// # Rules
//
// [Rules] are alert rules in Prometheus' own format, to be used as they are or with other
// thresholds.
package failoverprom
