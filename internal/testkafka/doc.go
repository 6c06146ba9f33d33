// Package testkafka gives tests a Kafka: kfake in the test's own process, or a real Apache Kafka of
// one or three brokers started from the jars of Maven Central, behind one interface; hard topics to
// fill it with; and a differ that holds two clusters side by side.
//
// # Parts that tests need
//
// Tests against a real Kafka need Java 17 and either Maven (which fetches the jars once, into a
// cache under [os.UserCacheDir]) or a directory of jars named by KAFKADR_KAFKA_LIBS. [MinIO] and
// [Kcat] need their binaries. A test whose part is missing is skipped with a text that says what to
// install. Where the variable KAFKADR_REQUIRE names the part (a comma-separated list of kafka,
// minio, kcat), that skip is a failure.
//
// # Processes
//
// Every process is killed when the test (or the [Pool]) ends, and by the kernel when the test
// binary dies in any other way (Linux). Its output goes to a file in the cluster's directory; the
// end of it is logged when the test fails.
package testkafka
