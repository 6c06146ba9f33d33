package testkafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFake(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { exercise(t, Fake(t, Options{Brokers: n})) })
	}
}

func TestFakeSecure(t *testing.T) { exerciseSecure(t, Fake(t, Options{Secure: true}).(Secured)) }

func TestFakeIDs(t *testing.T) {
	a, b := Fake(t, Options{}), Fake(t, Options{})
	if a.ID() == b.ID() {
		t.Fatalf("two clusters are called %s", a.ID())
	}
	if got := metadata(t, a).Cluster; got != a.ID() {
		t.Fatalf("the cluster says it is %s, want %s", got, a.ID())
	}
}

func TestReal(t *testing.T) { exercise(t, Real(t, Options{})) }

func TestRealSecure(t *testing.T) { exerciseSecure(t, Real(t, Options{Secure: true}).(Secured)) }

func TestRealThree(t *testing.T) {
	cl := Real(t, Options{Brokers: 3})
	t.Run("brokers come and go", func(t *testing.T) { exercise(t, cl) })
	t.Run("unclean election", func(t *testing.T) { losesRecords(t, cl) })
}

// exercise produces, and goes on producing through everything that can happen to a broker.
func exercise(t *testing.T, cl Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := Client(t, cl)
	if m := metadata(t, cl); m.Cluster != cl.ID() || len(m.Brokers) != len(cl.Brokers()) {
		t.Fatalf("cluster %q of %d brokers, want %q of %d", m.Cluster, len(m.Brokers), cl.ID(), len(cl.Brokers()))
	}
	Create(t, cl, 1, -1, nil, "t")
	produce := func(v string) {
		t.Helper()
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", v, err)
		}
	}
	produce("first")
	b := cl.Brokers()[0]
	cl.MoveLeader(t, "t", 0, b)
	cl.Stop(t, b)
	if len(cl.Brokers()) > 1 {
		produce("while one is stopped")
	}
	cl.Start(t, b)
	produce("after a stop")
	cl.Kill(t, b)
	cl.Start(t, b)
	produce("after a kill")
	cl.MoveLeader(t, "t", 0, b)
	cl.Pause(t, b)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := c.Broker(int(b)).RetriableRequest(short, kmsg.NewPtrListGroupsRequest()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ask a paused broker: %v, want the deadline", err)
	}
	cl.Resume(t, b)
	produce("after a pause")
}

func exerciseSecure(t *testing.T, cl Secured) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	Create(t, cl, 1, -1, nil, "t")
	cl.CreateUser(t, "writer", "secret")
	user, err := kgo.NewClient(cl.UserOpts("writer", "secret")...)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	if _, err := kadm.NewClient(user).ListEndOffsets(ctx, "t"); err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatal(err)
	}
	if err := user.ProduceSync(ctx, &kgo.Record{Topic: "t"}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("a user without rights: %v, want TOPIC_AUTHORIZATION_FAILED", err)
	}
	Allow(t, cl, "writer", kadm.NewACLs().Topics("t").Operations(kadm.OpWrite, kadm.OpDescribe))
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		return user.ProduceSync(ctx, &kgo.Record{Topic: "t"}).FirstErr()
	})
	wrong, err := kgo.NewClient(cl.UserOpts("writer", "wrong")...)
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	if err := wrong.Ping(ctx); err == nil || cl.Real() && !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Fatalf("wrong password: %v, want SASL_AUTHENTICATION_FAILED", err)
	}
	readSecurely(t, cl)
}

// readSecurely reads as the super user, and on a real Kafka with kcat.
func readSecurely(t *testing.T, cl Secured) {
	t.Helper()
	topics := Load(t, cl, Hard{Only: []string{"case"}})
	want, err := Capture(t.Context(), cl.Opts(), Names(topics), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want.Len() != 20 {
		t.Errorf("%d records, want 20", want.Len())
	}
	if !cl.Real() {
		return
	}
	for _, d := range (Comparison{HeaderText: true}).Equal(want, Kcat(t, cl, want, "read_committed")) {
		t.Errorf("kcat: %s", d)
	}
}

func metadata(t *testing.T, cl Cluster) kadm.Metadata {
	t.Helper()
	m, err := kadm.NewClient(Client(t, cl)).BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
