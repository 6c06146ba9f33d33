// Package kafkaconf turns a Kafka client's configuration file, with Kafka's
// own property names, into options of a franz-go client.
//
// # What is understood
//
//   - bootstrap.servers, client.id, client.rack
//   - security.protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
//   - sasl.mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, with
//     sasl.jaas.config or the environment: KDR_SASL_USERNAME,
//     KDR_SASL_PASSWORD; and OAUTHBEARER with a token from KDR_SASL_TOKEN
//   - ssl.truststore.location, ssl.truststore.certificates,
//     ssl.keystore.location, ssl.keystore.certificate.chain, ssl.keystore.key,
//     all of type PEM; ssl.endpoint.identification.algorithm (https or
//     empty); ssl.protocol and ssl.enabled.protocols (TLSv1.2, TLSv1.3)
//   - request.timeout.ms, socket.connection.setup.timeout.ms,
//     connections.max.idle.ms, metadata.max.age.ms
//
// Stores of type JKS and PKCS12 and encrypted keys are refused, with the
// command that converts them.
//
// # What isn't
//
// Any other property that begins with security., sasl. or ssl. is a fault: a
// connection that is less safe than its configuration says would be worse
// than none. All others mean nothing to a backup (acks, group.id, …); they
// are ignored, and named in Config.Ignored.
//
// Values never occur in errors where they may be secret.
package kafkaconf
