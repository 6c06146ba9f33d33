package kafkaconf

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Environment variables that hold what a file should not. They win over
// sasl.jaas.config.
const (
	EnvUsername = "KDR_SASL_USERNAME"
	EnvPassword = "KDR_SASL_PASSWORD"
	EnvToken    = "KDR_SASL_TOKEN"
)

// sasl reads the properties of SASL_PLAINTEXT and SASL_SSL.
func (r *reader) sasl() {
	mechanism := strings.ToUpper(r.get("sasl.mechanism"))
	user, password := r.credentials()
	switch mechanism {
	case "PLAIN":
		r.add(kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case "SCRAM-SHA-256":
		r.add(kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		r.add(kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	case "OAUTHBEARER":
		r.oauth()
		return
	default:
		r.fault("sasl.mechanism: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, got %q", mechanism)
		return
	}
	if user == "" {
		r.fault("SASL: no user name: set it in sasl.jaas.config or %s", EnvUsername)
	}
	if password == "" {
		r.fault("SASL: no password: set it in sasl.jaas.config or %s", EnvPassword)
	}
}

func (r *reader) oauth() {
	token := r.getenv(EnvToken)
	if token == "" {
		r.fault("sasl.mechanism: OAUTHBEARER takes its token from %s", EnvToken)
	}
	r.add(kgo.SASL(oauth.Auth{Token: token}.AsMechanism()))
}

func (r *reader) credentials() (user, password string) {
	options, err := jaasOptions(r.get("sasl.jaas.config"))
	if err != nil {
		r.fault("sasl.jaas.config: %v", err)
	}
	user, password = options["username"], options["password"]
	if v := r.getenv(EnvUsername); v != "" {
		user = v
	}
	if v := r.getenv(EnvPassword); v != "" {
		password = v
	}
	return user, password
}

// jaasOptions reads the options of one login module:
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";
//
// Its errors hold no values.
func jaasOptions(text string) (map[string]string, error) {
	options := make(map[string]string)
	if text == "" {
		return options, nil
	}
	fields, err := jaasFields(text)
	if err != nil {
		return nil, err
	}
	if len(fields) < 2 || strings.Contains(fields[0], "=") {
		return nil, fmt.Errorf("want MODULE required OPTION=\"VALUE\" …;")
	}
	for _, field := range fields[2:] {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, fmt.Errorf("an option is not of the form NAME=\"VALUE\"")
		}
		options[strings.TrimSpace(key)] = value
	}
	return options, nil
}

// jaasFields splits at blanks outside quotes, takes quotes and escapes away,
// and ends at the semicolon.
func jaasFields(text string) ([]string, error) {
	var fields []string
	var b strings.Builder
	var quote byte
	flush := func() {
		if b.Len() > 0 {
			fields = append(fields, b.String())
			b.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != 0 && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
		case c == ';':
			flush()
			return fields, nil
		case strings.IndexByte(" \t\n\r", c) >= 0:
			flush()
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote isn't closed")
	}
	return nil, fmt.Errorf("no semicolon at its end")
}
