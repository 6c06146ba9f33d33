package kafkaconf

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

const canary = "c4n4ry-s3cr3t"

// client builds a client from properties and an environment.
func client(t *testing.T, text string, env map[string]string) (*Config, *kgo.Client) {
	t.Helper()
	props, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	cfg, faults := New(props, func(k string) string { return env[k] })
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	cl, err := kgo.NewClient(cfg.Opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cfg, cl
}

func mechanism(cl *kgo.Client) string {
	m, _ := cl.OptValue(kgo.SASL).([]sasl.Mechanism)
	if len(m) == 0 {
		return ""
	}
	return m[0].Name()
}

func TestSASL(t *testing.T) {
	jaas := `sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="p w;\\"x";`
	for _, c := range []struct {
		name, text string
		env        map[string]string
		want       string
	}{
		{"none", "", nil, ""},
		{"plaintext", "security.protocol=PLAINTEXT", nil, ""},
		{"plain", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n" + jaas, nil, "PLAIN"},
		{"scram 256", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n" + jaas, nil, "SCRAM-SHA-256"},
		{"scram 512", "security.protocol=sasl_ssl\nsasl.mechanism=SCRAM-SHA-512\n" + jaas, nil, "SCRAM-SHA-512"},
		{"environment", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512", map[string]string{EnvUsername: "u", EnvPassword: canary}, "SCRAM-SHA-512"},
		{"token", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER", map[string]string{EnvToken: canary}, "OAUTHBEARER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, cl := client(t, c.text, c.env)
			if got := mechanism(cl); got != c.want {
				t.Errorf("mechanism %q, want %q", got, c.want)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	jaas := `org.apache.kafka.common.security.plain.PlainLoginModule required username="ada" password="a=b; c\"d";`
	for _, c := range []struct {
		name           string
		env            map[string]string
		user, password string
	}{
		{"file", nil, "ada", `a=b; c"d`},
		{"password from the environment", map[string]string{EnvPassword: "x"}, "ada", "x"},
		{"both from the environment", map[string]string{EnvUsername: "bob", EnvPassword: "x"}, "bob", "x"},
	} {
		r := &reader{props: map[string]string{"sasl.jaas.config": jaas}, getenv: func(k string) string { return c.env[k] }, seen: map[string]bool{}}
		user, password := r.credentials()
		if user != c.user || password != c.password || len(r.faults) > 0 {
			t.Errorf("%s: %q, %q, %v", c.name, user, password, r.faults)
		}
	}
}

func TestClientProperties(t *testing.T) {
	cfg, cl := client(t, "bootstrap.servers=a:1, b:2,\nclient.id=dr\nclient.rack=r1\nacks=all\ngroup.id=g\nssl.cipher.suites=X\nrequest.timeout.ms=7000\nsocket.connection.setup.timeout.ms=3000", nil)
	want := &Config{Brokers: []string{"a:1", "b:2"}, ClientID: "dr", Rack: "r1", Ignored: []string{"acks", "group.id", "ssl.cipher.suites"}}
	cfg.Opts = nil
	if d := cmp.Diff(want, cfg); d != "" {
		t.Error(d)
	}
	if got := cl.OptValue(kgo.RequestTimeoutOverhead); got != 7*time.Second {
		t.Errorf("request.timeout.ms: %v", got)
	}
}

// TestFaults has one row a fault; each must be named, and no secret with it.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	jks := filepath.Join(dir, "trust.jks")
	if err := os.WriteFile(jks, []byte("\xfe\xed\xfe\xed"+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"protocol", "security.protocol=TLS", "security.protocol"},
		{"mechanism", "security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI", "sasl.mechanism"},
		{"no mechanism", "security.protocol=SASL_SSL", "sasl.mechanism"},
		{"no user", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN", "no user name"},
		{"no password", `security.protocol=SASL_PLAINTEXT` + "\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required username=\"u\";", "no password"},
		{"no token", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER", EnvToken},
		{"open quote", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required password=\"" + canary, "quote"},
		{"no semicolon", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required password=" + canary, "semicolon"},
		{"not an option", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required " + canary + ";", "NAME="},
		{"unknown sasl property", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.login.class=" + canary, "sasl.login.class: not supported"},
		{"unknown ssl property", "security.protocol=SSL\nssl.cipher.suites=" + canary, "ssl.cipher.suites: not supported"},
		{"unknown security property", "security.providers=" + canary, "security.providers: not supported"},
		{"jks", "security.protocol=SSL\nssl.truststore.type=JKS\nssl.truststore.location=" + jks + "\nssl.truststore.password=" + canary, "keytool"},
		{"jks by its content", "security.protocol=SSL\nssl.truststore.location=" + jks, "keytool"},
		{"pkcs12 key store", "security.protocol=SSL\nssl.keystore.type=PKCS12\nssl.keystore.location=" + jks, "PKCS12"},
		{"no file", "security.protocol=SSL\nssl.truststore.location=" + filepath.Join(dir, "none.pem"), "none.pem"},
		{"both", "security.protocol=SSL\nssl.truststore.location=" + jks + "\nssl.truststore.certificates=x", "exclude each other"},
		{"not a certificate", "security.protocol=SSL\nssl.truststore.certificates=" + canary, "no certificate"},
		{"not a key pair", "security.protocol=SSL\nssl.keystore.certificate.chain=" + canary + "\nssl.keystore.key=" + canary, "ssl.keystore.certificate.chain"},
		{"key alone", "security.protocol=SSL\nssl.keystore.key=" + canary, "needs ssl.keystore.certificate.chain"},
		{"encrypted key", "security.protocol=SSL\nssl.keystore.certificate.chain=x\nssl.keystore.key=-----BEGIN ENCRYPTED PRIVATE KEY----- YWJj -----END ENCRYPTED PRIVATE KEY-----", "decrypt it"},
		{"versions", "security.protocol=SSL\nssl.enabled.protocols=TLSv1.1", "TLSv1.2"},
		{"host name", "security.protocol=SSL\nssl.endpoint.identification.algorithm=ldaps", "https"},
		{"timeout", "request.timeout.ms=soon", "milliseconds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			props, err := Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			_, faults := New(props, func(string) string { return "" })
			all := strings.Join(faults, "\n")
			if !strings.Contains(all, c.want) {
				t.Errorf("faults %q, want %q", all, c.want)
			}
			if strings.Contains(all, canary) {
				t.Errorf("a secret is in %q", all)
			}
		})
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "client.properties")
	if err := os.WriteFile(path, []byte("security.protocol=x\nrequest.timeout.ms=y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, faults := Load(path, os.Getenv)
	if len(faults) != 2 || !strings.HasPrefix(faults[0], path+": ") {
		t.Errorf("%q", faults)
	}
	if _, faults = Load(path+".none", os.Getenv); len(faults) != 1 {
		t.Errorf("%q", faults)
	}
}

func TestTLSVersions(t *testing.T) {
	r := &reader{props: map[string]string{"ssl.enabled.protocols": "TLSv1.3,TLSv1.2"}, seen: map[string]bool{}}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	r.versions(cfg)
	if cfg.MinVersion != tls.VersionTLS12 || cfg.MaxVersion != tls.VersionTLS13 || len(r.faults) > 0 {
		t.Errorf("%v, %v, %v", cfg.MinVersion, cfg.MaxVersion, r.faults)
	}
}
