package kafkaconf

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is what a configuration file says of a connection.
type Config struct {
	// Opts are the options of a client, bootstrap.servers not included.
	Opts []kgo.Opt
	// Brokers are the bootstrap.servers.
	Brokers []string
	// ClientID and Rack are client.id and client.rack.
	ClientID, Rack string
	// Ignored are the names of properties that mean nothing here, sorted.
	Ignored []string
}

// Load reads the file at path, and the environment for secrets; an empty path
// takes the environment alone. It returns all faults, each of one line.
func Load(path string, getenv func(string) string) (*Config, []string) {
	var text string
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, []string{err.Error()}
		}
		text = string(raw)
	}
	props, err := Parse(text)
	if err != nil {
		return nil, []string{path + ": " + err.Error()}
	}
	cfg, faults := New(props, getenv)
	if path != "" {
		for i, f := range faults {
			faults[i] = path + ": " + f
		}
	}
	return cfg, faults
}

// New turns properties into options. It returns all faults at once.
func New(props map[string]string, getenv func(string) string) (*Config, []string) {
	r := &reader{props: props, getenv: getenv, seen: make(map[string]bool)}
	r.client()
	r.security()
	r.timeouts()
	r.rest()
	return &r.cfg, r.faults
}

// reader reads properties once each, and remembers which it knew.
type reader struct {
	props  map[string]string
	getenv func(string) string
	seen   map[string]bool
	cfg    Config
	faults []string
}

func (r *reader) get(key string) string {
	r.seen[key] = true
	return strings.TrimSpace(r.props[key])
}

func (r *reader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *reader) add(opts ...kgo.Opt) { r.cfg.Opts = append(r.cfg.Opts, opts...) }

func (r *reader) client() {
	for b := range strings.SplitSeq(r.get("bootstrap.servers"), ",") {
		if b = strings.TrimSpace(b); b != "" {
			r.cfg.Brokers = append(r.cfg.Brokers, b)
		}
	}
	r.cfg.ClientID = r.get("client.id")
	r.cfg.Rack = r.get("client.rack")
}

func (r *reader) security() {
	protocol := strings.ToUpper(r.get("security.protocol"))
	if !slices.Contains([]string{"", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol) {
		r.fault("security.protocol: want PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, got %q", protocol)
		return
	}
	if strings.HasSuffix(protocol, "SSL") {
		r.tls()
	}
	if strings.HasPrefix(protocol, "SASL_") {
		r.sasl()
	}
}

// timeouts reads the properties that say how long a client waits.
func (r *reader) timeouts() {
	for key, opt := range map[string]func(time.Duration) kgo.Opt{
		"request.timeout.ms":                 kgo.RequestTimeoutOverhead,
		"socket.connection.setup.timeout.ms": kgo.DialTimeout,
		"connections.max.idle.ms":            kgo.ConnIdleTimeout,
		"metadata.max.age.ms":                kgo.MetadataMaxAge,
	} {
		text := r.get(key)
		if text == "" {
			continue
		}
		ms, err := strconv.ParseInt(text, 10, 32)
		if err != nil || ms <= 0 {
			r.fault("%s: want milliseconds above 0, got %q", key, text)
			continue
		}
		r.add(opt(time.Duration(ms) * time.Millisecond))
	}
}

// rest sorts the properties that nobody asked for into faults and ignored ones.
func (r *reader) rest() {
	protocol := strings.ToUpper(strings.TrimSpace(r.props["security.protocol"]))
	for key := range r.props {
		switch {
		case r.seen[key]:
		case strings.HasPrefix(key, "ssl.") && !strings.HasSuffix(protocol, "SSL"),
			strings.HasPrefix(key, "sasl.") && !strings.HasPrefix(protocol, "SASL_"):
			r.cfg.Ignored = append(r.cfg.Ignored, key) // as Kafka's own clients do
		case strings.HasPrefix(key, "ssl."), strings.HasPrefix(key, "sasl."), strings.HasPrefix(key, "security."):
			r.fault("%s: not supported", key)
		default:
			r.cfg.Ignored = append(r.cfg.Ignored, key)
		}
	}
	slices.Sort(r.cfg.Ignored)
	slices.Sort(r.faults)
}
