package testkafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const adminUser = "admin"

// security is what the brokers and clients of a secure cluster share: a certificate authority made
// for it, the brokers' certificate, and the super user's password.
type security struct {
	dir      string
	password string
	pool     *x509.CertPool
	cert     tls.Certificate
	caFile   string // PEM: CA certificate
	keyFile  string // PEM: private key, certificate, CA certificate, as Kafka's ssl.keystore.type=PEM wants them
}

func newSecurity(t testing.TB, dir string) *security {
	t.Helper()
	s, err := makeSecurity(dir)
	if err != nil {
		t.Fatalf("testkafka: certificates: %v", err)
	}
	return s
}

func makeSecurity(dir string) (*security, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := certTemplate(1, "kafkadr test CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := certTemplate(2, "broker")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return writeSecurity(dir, caDER, leafDER, keyDER)
}

func writeSecurity(dir string, caDER, leafDER, keyDER []byte) (*security, error) {
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	leafPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	cert, err := tls.X509KeyPair(append(leafPEM, caPEM...), keyPEM)
	if err != nil {
		return nil, err
	}
	s := &security{dir: dir, password: "admin-" + newID(), pool: x509.NewCertPool(), cert: cert,
		caFile: filepath.Join(dir, "ca.pem"), keyFile: filepath.Join(dir, "broker.pem")}
	s.pool.AppendCertsFromPEM(caPEM)
	if err := os.WriteFile(s.caFile, caPEM, 0o600); err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.keyFile, append(append(keyPEM, leafPEM...), caPEM...), 0o600)
}

func certTemplate(serial int64, name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour)}
}

func (s *security) serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}
}

// opts are a client's options: TLS that trusts the CA, and SCRAM as user.
func (s *security) opts(user, password string) []kgo.Opt {
	return []kgo.Opt{
		kgo.DialTLSConfig(&tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()),
	}
}

// clientProperties writes the client's file in Kafka's own property names.
func (s *security) clientProperties(t testing.TB, user, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client.properties")
	text := fmt.Sprintf(`security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, user, password, s.caFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("testkafka: %v", err)
	}
	return path
}

func createUser(t testing.TB, cl Cluster, user, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	res, err := kadm.NewClient(Client(t, cl)).AlterUserSCRAMs(ctx, nil,
		[]kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password}})
	if err == nil {
		err = res.Error()
	}
	if err != nil {
		t.Fatalf("testkafka: create user %s: %v", user, err)
	}
}

type securedFake struct{ *fake }

func (f *securedFake) Admin() (string, string) { return adminUser, f.sec.password }
func (f *securedFake) CAFile() string          { return f.sec.caFile }

func (f *securedFake) CreateUser(t testing.TB, user, password string) {
	t.Helper()
	createUser(t, f, user, password)
}

func (f *securedFake) UserOpts(user, password string) []kgo.Opt {
	return append(f.seeds(), f.sec.opts(user, password)...)
}

func (f *securedFake) ClientProperties(t testing.TB, user, password string) string {
	t.Helper()
	return f.sec.clientProperties(t, user, password)
}

// Allow gives user the rights of acls, a [kadm.ACLBuilder] with resources and operations, from
// every host.
func Allow(t testing.TB, cl Cluster, user string, acls *kadm.ACLBuilder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b := acls.Allow("User:" + user).AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	res, err := kadm.NewClient(Client(t, cl)).CreateACLs(ctx, b)
	if err == nil {
		for _, r := range res {
			err = errors.Join(err, r.Err)
		}
	}
	if err != nil {
		t.Fatalf("testkafka: allow %s: %v", user, err)
	}
}
