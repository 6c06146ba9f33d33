package restore

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// admin is an admin client on cl.
func admin(t testing.TB, cl testkafka.Cluster) *kadm.Client {
	t.Helper()
	return kadm.NewClient(testkafka.Client(t, cl))
}

// produce puts values into a partition.
func produce(t testing.TB, cl testkafka.Cluster, topic string, partition int32, values ...string) {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t testing.TB, cl testkafka.Cluster, topic string, partitions int32) {
	t.Helper()
	testkafka.Create(t, cl, partitions, 1, nil, topic)
}

// commit commits a group's offset on the target.
func commit(t testing.TB, cl testkafka.Cluster, group, topic string, partition int32, offset int64) {
	t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, Partition: partition, At: offset, LeaderEpoch: -1})
	rs, err := admin(t, cl).CommitOffsets(t.Context(), group, os)
	if err != nil || rs.Error() != nil {
		t.Fatal(err, rs.Error())
	}
}

// withGroup adds a group with one offset to a snapshot.
func withGroup(name string, partition int32, offset int64) func(*storage.Change) {
	return func(c *storage.Change) {
		c.Groups = append(c.Groups, storage.Group{Name: name, Type: "classic", State: "Empty", Offsets: []storage.GroupOffset{
			{TopicID: kadm.TopicID{15: 1}, Topic: "t", Partition: partition, Offset: offset, LeaderEpoch: 3},
		}})
	}
}

// A plan that has conflicts names them, and its run changes nothing.
func TestConflicts(t *testing.T) {
	for name, tt := range map[string]struct {
		topic   fakeTopic
		change  func(*storage.Change)
		options testkafka.Options
		config  func(*Config)
		before  func(t *testing.T, cl testkafka.Cluster)
		want    string
		allowed func(*Config) // makes it go away
	}{
		"incomplete": {
			change: func(c *storage.Change) {
				c.Incomplete = true
				c.Partitions[0].Fault = "no leader"
			},
			want: "incomplete", allowed: func(c *Config) { c.AllowIncomplete = true },
		},
		"same cluster": {
			options: testkafka.Options{Fake: []kfake.Opt{kfake.ClusterID(testCluster)}},
			want:    "same_cluster", allowed: func(c *Config) { c.SameCluster = true },
		},
		"replication factor": {
			topic: fakeTopic{rf: 3},
			want:  "replication_factor", allowed: func(c *Config) { c.ReplicationFactor = 1 },
		},
		"foreign records": {
			before: func(t *testing.T, cl testkafka.Cluster) {
				create(t, cl, "t", 2)
				produce(t, cl, "t", 1, "mine")
			},
			want: "foreign_records", allowed: func(c *Config) { c.Prefix = "other-" },
		},
		"more than the snapshot has": {
			before: func(t *testing.T, cl testkafka.Cluster) {
				restored(t, Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 4), plain(t, 50, 3, 4)}})})
				produce(t, cl, "t", 0, "later")
			},
			want: "foreign_records",
		},
		"another log start": {
			before: func(t *testing.T, cl testkafka.Cluster) {
				create(t, cl, "t", 2)
				produce(t, cl, "t", 0, "a", "b", "c")
				var os kadm.Offsets
				os.Add(kadm.Offset{Topic: "t", Partition: 0, At: 2})
				if _, err := admin(t, cl).DeleteRecords(t.Context(), os); err != nil {
					t.Fatal(err)
				}
			},
			want: "log_start",
		},
		"records below the log start": {
			before: func(t *testing.T, cl testkafka.Cluster) {
				create(t, cl, "t", 2)
				produce(t, cl, "t", 1, "visible")
			},
			want: "foreign_records",
		},
		"partitions": {
			before: func(t *testing.T, cl testkafka.Cluster) { create(t, cl, "t", 3) },
			want:   "partitions",
		},
		"hole time": {
			topic: fakeTopic{partitions: []opstest.History{{Start: 0, End: 1 << 40}}},
			want:  "hole_time",
		},
		"filler time": {
			topic: fakeTopic{partitions: []opstest.History{{Start: 1 << 60, End: 1 << 60}}},
			want:  "hole_time",
		},
		"names collide": {
			config: func(c *Config) { c.Rename = map[string]string{"t": "u"} },
			want:   "name", allowed: func(c *Config) { c.Rename = nil },
		},
		"group is active": {
			change: withGroup("g", 0, 3),
			config: func(c *Config) { c.Groups = true },
			before: func(t *testing.T, cl testkafka.Cluster) {
				create(t, cl, "elsewhere", 1)
				c := testkafka.Client(t, cl, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("elsewhere"))
				produce(t, cl, "elsewhere", 0, "x")
				c.PollFetches(t.Context())
			},
			want: "group_active", allowed: func(c *Config) { c.Groups = false },
		},
		"group is ahead": {
			change: withGroup("g", 0, 3),
			config: func(c *Config) { c.Groups = true },
			before: func(t *testing.T, cl testkafka.Cluster) {
				create(t, cl, "t", 2)
				commit(t, cl, "g", "t", 0, 4)
			},
			want: "group_ahead", allowed: func(c *Config) { c.Groups = false },
		},
		"acls without authorizer": {
			change: func(c *storage.Change) {
				c.Cluster = &storage.Cluster{ACLs: []storage.ACL{{ResourceType: "TOPIC", ResourceName: "t", PatternType: "LITERAL", Principal: "User:a", Host: "*", Operation: "READ", Permission: "ALLOW"}}}
			},
			config: func(c *Config) { c.ACLs = true },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ft := tt.topic
			ft.name = "t"
			if ft.partitions == nil {
				ft.partitions = []opstest.History{plain(t, 0, 3, 4), plain(t, 50, 3, 4)}
			}
			s := fakeArchive(t, tt.change, ft, fakeTopic{name: "u", partitions: []opstest.History{plain(t, 0, 1, 1)}})
			cl := testkafka.Fake(t, tt.options)
			cfg := Config{Target: cl.Opts(), Snapshot: s, quiet: 10 * time.Millisecond}
			if tt.before != nil {
				tt.before(t, cl)
			}
			if tt.config != nil {
				tt.config(&cfg)
			}
			checkConflict(t, cfg, cl, tt.want)
			if tt.allowed != nil {
				tt.allowed(&cfg)
				restored(t, cfg)
			}
		})
	}
}

func checkConflict(t *testing.T, cfg Config, cl testkafka.Cluster, want string) {
	t.Helper()
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want == "" {
		if len(p.Conflicts) > 0 {
			t.Errorf("conflicts %v", p.Conflicts)
		}
		return
	}
	if len(p.Conflicts) == 0 || p.Conflicts[0].Kind != want {
		t.Fatalf("conflicts %v, want %s", p.Conflicts, want)
	}
	before, err := admin(t, cl).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context())
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Conflicts[0].Kind != want {
		t.Errorf("run: %v, want it refused", err)
	}
	after, err := admin(t, cl).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(after) {
		t.Errorf("topics %v became %v", before.Names(), after.Names())
	}
}

// A topic that appears between plan and run is looked at, not taken for ours.
func TestTopicCreatedAfterPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		partitions int32
		values     []string
		want       string
	}{
		"ours":             {partitions: 1},
		"with records":     {partitions: 1, values: []string{"foreign"}, want: "foreign_records"},
		"other partitions": {partitions: 2, want: "partitions"},
	} {
		t.Run(name, func(t *testing.T) {
			topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 2, 2)}}
			cfg, cl := fakeConfig(t, fakeArchive(t, nil, topic))
			p, err := NewPlan(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			create(t, cl, "t", tt.partitions)
			produce(t, cl, "t", 0, tt.values...)
			_, err = p.Run(t.Context())
			var refused *RefusedError
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "":
				checkTopics(t, cl, copyops.Filter{}, topic)
			case !errors.As(err, &refused) || refused.Conflicts[0].Kind != tt.want:
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// Somebody else's records that come after the plan stop their partition before anything follows
// them.
func TestForeignRecordsAfterPlan(t *testing.T) {
	topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 5, 2)}}
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topic))
	create(t, cl, "t", 1)
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	produce(t, cl, "t", 0, "foreign", "foreign")
	_, err = p.Run(t.Context())
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("run: %v, want it refused", err)
	}
	if _, _, end := onTarget(t, connectTo(t, cl), "t", 0); end != 2 {
		t.Errorf("the log ends at %d, want 2", end)
	}
}

// A record in the middle that differs is found where all is compared, and a record at the end
// always.
func TestVerifyTarget(t *testing.T) {
	with := func(changed int) *storage.Snapshot {
		h := opstest.History{}
		for i := range 100 {
			rs := opstest.Rows(h.End, 20)
			rs[0].Value = bytes.Repeat([]byte{byte(i)}, 20_000)
			if i == changed {
				rs[5].Value = []byte("changed")
			}
			raw, err := batch.Append(nil, h.End, kgo.NoCompression(), rs...)
			if err != nil {
				t.Fatal(err)
			}
			h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
			h.End += 20
		}
		return fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{h}})
	}
	cfg, cl := fakeConfig(t, with(-1))
	restored(t, cfg)
	for changed, wants := range map[int][2]string{ // by sample, by all
		-1: {"", ""}, 33: {"", "foreign_records"}, 97: {"foreign_records", "foreign_records"}, 0: {"foreign_records", "foreign_records"},
	} {
		cfg.Snapshot = with(changed)
		for i, want := range wants {
			cfg.VerifyTarget = i == 1
			checkConflict(t, cfg, cl, want)
		}
	}
}

// A quota on creating topics (controller_mutation_rate) is waited out, by plan and run: it is no
// conflict.
func TestCreationThrottled(t *testing.T) {
	topics := []fakeTopic{{name: "t", partitions: []opstest.History{plain(t, 0, 2, 2)}}, {name: "u", partitions: []opstest.History{plain(t, 0, 2, 2)}}}
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
	k := testkafka.Kfake(cl)
	held := map[bool]int{} // by whether it is only asked
	k.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		if !slices.ContainsFunc(req.Topics, func(rt kmsg.CreateTopicsRequestTopic) bool { return rt.Topic == "t" }) || held[req.ValidateOnly] == 2 {
			return nil, nil, false
		}
		held[req.ValidateOnly]++
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewCreateTopicsResponseTopic()
			st.Topic, st.ErrorCode = rt.Topic, kerr.ThrottlingQuotaExceeded.Code
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil || len(p.Conflicts) > 0 {
		t.Fatal(err, p)
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held[true] != 2 || held[false] != 2 {
		t.Errorf("held back %v", held)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}
