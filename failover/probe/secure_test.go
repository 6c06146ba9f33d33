package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func TestSecure(t *testing.T) {
	secure(t, testkafka.Fake(t, testkafka.Options{Brokers: 3, Secure: true}).(testkafka.Secured))
}

func TestSecureReal(t *testing.T) {
	secure(t, testkafka.Real(t, testkafka.Options{Secure: true}).(testkafka.Secured))
}

// secure holds that what a broker doesn't let one do isn't that it is down.
func secure(t *testing.T, cl testkafka.Secured) {
	createTopic(t, cl, canaryTopic)
	createTopic(t, cl, "orders")
	cl.CreateUser(t, "nobody", "secret-right")
	cl.CreateUser(t, "reader", "secret-right")
	testkafka.Allow(t, cl, "reader", kadm.NewACLs().Topics(canaryTopic, "orders").Operations(kadm.OpRead, kadm.OpDescribe))
	plain := []kgo.Opt{kgo.SeedBrokers(cl.Addrs()...)}
	untrusted := append(plain[:1:1], kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	tests := map[string]struct {
		opts []kgo.Opt
		want map[string]Kind
	}{
		"admin":              {cl.Opts(), nil},
		"wrong password":     {cl.UserOpts("nobody", "secret-wrong"), map[string]Kind{"metadata": Auth, "canary": Auth, "offline": Auth}},
		"no rights":          {cl.UserOpts("nobody", "secret-right"), map[string]Kind{"canary": Denied}},
		"write right lacks":  {cl.UserOpts("reader", "secret-right"), map[string]Kind{"canary": Denied}},
		"untrusted":          {untrusted, map[string]Kind{"metadata": Auth, "canary": Auth, "offline": Auth}},
		"token can't be had": {append(cl.UserOpts("nobody", "")[:2:2], kgo.SASL(noToken{})), map[string]Kind{"metadata": Auth, "canary": Auth, "offline": Auth}},
		"password lacks":     {cl.UserOpts("nobody", ""), map[string]Kind{"metadata": Auth, "canary": Auth, "offline": Auth}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for probe, p := range given {
				err := within(t, 20*second, p, Target{"primary", tt.opts})
				check(t, probe, err, tt.want[probe])
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("%s tells a secret: %v", probe, err)
				}
			}
		})
	}
}

// noToken is a login whose own code fails, and talks too much.
type noToken struct{}

func (noToken) Name() string { return "SCRAM-SHA-512" }
func (noToken) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	return nil, nil, errors.New("token secret-token is refused")
}

// TestNobody holds what a machine without Kafka, and options that are wrong, look like.
func TestNobody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for name, p := range given {
		check(t, name, within(t, 5*second, p, Target{"primary", []kgo.Opt{kgo.SeedBrokers(ln.Addr().String())}}), Unreachable)
		both := []kgo.Opt{kgo.DialTLS(), kgo.Dialer((&net.Dialer{}).DialContext)}
		check(t, name, within(t, 5*second, p, Target{"primary", both}), Config)
	}
}
