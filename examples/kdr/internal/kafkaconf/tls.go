package kafkaconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tls reads the properties of SSL and SASL_SSL.
func (r *reader) tls() {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	r.versions(cfg)
	r.truststore(cfg)
	r.keystore(cfg)
	r.hostname(cfg)
	r.add(kgo.DialTLSConfig(cfg))
}

func (r *reader) versions(cfg *tls.Config) {
	_ = r.get("ssl.protocol") // what is enabled decides
	enabled := r.get("ssl.enabled.protocols")
	if enabled == "" {
		return
	}
	known := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	cfg.MinVersion = 0
	for name := range strings.SplitSeq(enabled, ",") {
		v, ok := known[strings.TrimSpace(name)]
		if !ok {
			r.fault("ssl.enabled.protocols: want TLSv1.2, TLSv1.3 or both, got %q", enabled)
			cfg.MinVersion = tls.VersionTLS12
			return
		}
		if cfg.MinVersion == 0 || v < cfg.MinVersion {
			cfg.MinVersion = v
		}
		cfg.MaxVersion = max(cfg.MaxVersion, v)
	}
}

func (r *reader) truststore(cfg *tls.Config) {
	const location, inline = "ssl.truststore.location", "ssl.truststore.certificates"
	_ = r.get("ssl.truststore.password") // certificates in PEM have none
	raw, ok := r.pemOf("ssl.truststore.type", location, inline)
	if !ok {
		return
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		r.fault("%s: no certificate found in it", r.given(location, inline))
		return
	}
	cfg.RootCAs = pool
}

func (r *reader) keystore(cfg *tls.Config) {
	const location, chain, key = "ssl.keystore.location", "ssl.keystore.certificate.chain", "ssl.keystore.key"
	_, _ = r.get("ssl.keystore.password"), r.get("ssl.key.password")
	raw, ok := r.pemOf("ssl.keystore.type", location, chain)
	if !ok {
		if r.get(key) != "" {
			r.fault("%s: needs %s beside it", key, chain)
		}
		return
	}
	private := raw // one file holds key and chain
	if inline := r.get(key); inline != "" {
		private = unfold(inline)
	}
	cert, err := keyPair(raw, private)
	if err != nil {
		r.fault("%s: %v", r.given(location, chain), err)
		return
	}
	cfg.Certificates = []tls.Certificate{cert}
}

// keyPair is tls.X509KeyPair, with clear words for what it can't read. Its
// errors hold no part of the key.
func keyPair(chain, key []byte) (tls.Certificate, error) {
	for rest := key; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return tls.Certificate{}, errors.New("encrypted keys are not supported; decrypt it: openssl pkey -in KEY -out PLAIN")
		}
	}
	return tls.X509KeyPair(chain, key)
}

// pemOf returns the bytes of a store that is given as a file or inline.
func (r *reader) pemOf(typeKey, location, inline string) ([]byte, bool) {
	kind, path, text := strings.ToUpper(r.get(typeKey)), r.get(location), r.get(inline)
	switch {
	case path == "" && text == "":
		return nil, false
	case path != "" && text != "":
		r.fault("%s and %s exclude each other", location, inline)
		return nil, false
	case text != "":
		return unfold(text), true
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		r.fault("%s: %v", location, err)
		return nil, false
	}
	if kind != "PEM" && kind != "" || kind == "" && !strings.Contains(string(raw), "-----BEGIN ") {
		r.fault("%s: %s", location, convert(kind, path, location))
		return nil, false
	}
	return raw, true
}

// convert says how a store of a Java type becomes PEM.
func convert(kind, path, location string) string {
	if kind == "" {
		kind = "JKS or PKCS12"
	}
	what := "-nokeys"
	if strings.Contains(location, "keystore") {
		what = "-nodes"
	}
	return fmt.Sprintf("a %s store is not supported, only PEM; convert it: keytool -importkeystore -srckeystore %s"+
		" -destkeystore s.p12 -deststoretype PKCS12; openssl pkcs12 -in s.p12 %s -out s.pem", kind, path, what)
}

func (r *reader) given(location, inline string) string {
	if r.get(location) != "" {
		return location
	}
	return inline
}

// unfold gives inline PEM its line breaks back: files often have it on one
// line, where Kafka takes spaces for line breaks.
func unfold(text string) []byte {
	if strings.Contains(text, "\n") {
		return []byte(text)
	}
	var b strings.Builder
	for _, part := range strings.SplitAfter(text, "-----") {
		if strings.Contains(part, "BEGIN ") || strings.Contains(part, "END ") {
			b.WriteString(part)
			continue
		}
		b.WriteString(strings.ReplaceAll(part, " ", "\n"))
	}
	return []byte(b.String())
}

// hostname reads ssl.endpoint.identification.algorithm. Empty, it turns the
// check of the broker's host name off, and not that of its certificate chain.
func (r *reader) hostname(cfg *tls.Config) {
	const key = "ssl.endpoint.identification.algorithm"
	_, set := r.props[key]
	switch v := r.get(key); {
	case !set || strings.EqualFold(v, "https"):
	case v == "":
		roots := cfg.RootCAs
		cfg.InsecureSkipVerify = true //nolint:gosec // VerifyConnection checks the chain
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, roots) }
	default:
		r.fault("%s: want https or nothing, got %q", key, v)
	}
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
