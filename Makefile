# make test                         all tests of all modules, the one test command (internal/tools/gotest chooses -race, timeouts and how many at once)
# make test GOTESTFLAGS='-run Crash ./restore'
# make test-long                    the same with the long counts (hours; needs Kafka, MinIO, kcat and promtool)
# make bench                        the README's tables, against a real Kafka and MirrorMaker 2; what failover costs, and how long it takes
# make bench-archive                what reading an archive asks of its store: exact counts, no cluster needed
# make lint fuzz

GO            ?= go
GOLANGCI_LINT ?= golangci-lint
GOTESTFLAGS   ?=
FUZZTIME      ?= 10s
BENCHFLAGS    ?=
MODULES        = $(shell $(GO) list -m -f '{{.Dir}}')

.PHONY: all build test test-long bench bench-memory bench-archive lint fuzz

all: build lint test

build:
	for m in $(MODULES); do (cd $$m && $(GO) build ./...) || exit 1; done

test:
	$(GO) run ./internal/tools/gotest $(GOTESTFLAGS)

test-long:
	KAFKADR_LONG=1 KAFKADR_REQUIRE=kafka,minio,kcat,promtool $(GO) run ./internal/tools/gotest -race=false -timeout 12h -p 1 -count 1 $(GOTESTFLAGS)

# KAFKADR_BENCH_MB is the size of each topic, KAFKADR_BENCH_RUNS how often each pair runs, KAFKADR_BENCH_OUT a file for the table,
# KAFKADR_BENCH_ONLY a regular expression of its topics; KAFKADR_BENCH_MIRROR_OUT is a file for the mirror's tables, KAFKADR_BENCH_MM2_RUNS how often MirrorMaker runs.
# KAFKADR_BENCH_FAILOVER_OUT is a file for failover's tables, KAFKADR_BENCH_KILLS how many kills, black holes and fenced ones there are (30; they take a quarter of an hour).
bench:
	cd examples/kdr && KAFKADR_BENCH=1 KAFKADR_REQUIRE=kafka,minio $(GO) test -v -run '^TestBench(Mirror|Failover)?$$' -timeout 3h -count 1 $(BENCHFLAGS) ./internal/bench

bench-memory:
	cd examples/kdr && KAFKADR_BENCH_FLAT=1 KAFKADR_REQUIRE=kafka $(GO) test -v -run '^TestFlat$$' -timeout 3h -count 1 $(BENCHFLAGS) ./internal/bench

bench-archive:
	KAFKADR_BENCH=1 $(GO) test -v -run '^TestOperations$$' -timeout 1h -count 1 $(BENCHFLAGS) ./storage

lint:
	for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(GOLANGCI_LINT) run ./...) || exit 1; done

# Every fuzz target, one after the other, for FUZZTIME each.
fuzz:
	FUZZTIME=$(FUZZTIME) .ci/fuzz
