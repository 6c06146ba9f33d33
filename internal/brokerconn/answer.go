package brokerconn

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// probeID is the correlation ID of the guard's own requests. kgo counts from 0 up.
	probeID int32 = math.MinInt32
	// probeVersion is of Kafka 0.11, the first with record batches: cluster ID, no tags, no
	// creation of topics.
	probeVersion = 4

	// Versions from which on a response has a field, or is flexible.
	metadataThrottle = 3
	metadataRack     = 1
	metadataID       = 2
	metadataFlexible = 9
	describeEndpoint = 1
)

var (
	keyMetadata        = kmsg.Metadata.Int16()
	keyDescribeCluster = kmsg.DescribeCluster.Int16()
	keyApiVersions     = kmsg.ApiVersions.Int16()
	keySASLHandshake   = kmsg.SASLHandshake.Int16()
	keySASL            = kmsg.SASLAuthenticate.Int16()
)

var errAnswer = errors.New("brokerconn: a broker's answer can't be read")

// probe is a Metadata request of no topics. It needs no rights.
func probe(clientID string) []byte {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = probeVersion
	req.Topics = []kmsg.MetadataRequestTopic{}
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, req, probeID)
}

// answer is what a Metadata or DescribeCluster response says of its cluster.
type answer struct {
	clusterID string           // empty: none is told
	brokers   map[string]int32 // by advertised address; of Metadata only
}

// readAnswer reads the beginning of a response, behind its correlation ID. It never panics; what is
// after the cluster ID isn't looked at.
func readAnswer(key, version int16, body []byte) (answer, error) {
	b := kbin.Reader{Src: body}
	var a answer
	switch key {
	case keyMetadata:
		a = readMetadata(&b, version)
	case keyDescribeCluster:
		kmsg.SkipTags(&b)
		b.Int32() // throttle
		b.Int16() // error code
		b.CompactNullableString()
		if version >= describeEndpoint {
			b.Int8()
		}
		a.clusterID = b.CompactString()
	}
	if !b.Ok() {
		return answer{}, errAnswer
	}
	return a, nil
}

func readMetadata(b *kbin.Reader, version int16) answer {
	flexible := version >= metadataFlexible
	str, null, array := b.String, b.NullableString, b.ArrayLen
	if flexible {
		kmsg.SkipTags(b)
		str, null, array = b.CompactString, b.CompactNullableString, b.CompactArrayLen
	}
	if version >= metadataThrottle {
		b.Int32()
	}
	a := answer{brokers: make(map[string]int32)}
	for n := array(); n > 0 && b.Ok(); n-- {
		id, host, port := b.Int32(), str(), b.Int32()
		if version >= metadataRack {
			null()
		}
		if flexible {
			kmsg.SkipTags(b)
		}
		a.brokers[net.JoinHostPort(host, strconv.Itoa(int(port)))] = id
	}
	if version >= metadataID {
		if id := null(); id != nil {
			a.clusterID = *id
		}
	}
	return a
}

// header is a request's, as far as it is the same in all versions.
type header struct {
	key, version int16
	id           int32
}

const (
	lengthBytes   = 4
	classifyBytes = 8  // length, API key, version
	headerBytes   = 12 // and the correlation ID
)

func readHeader(p []byte) header {
	return header{
		key:     int16(binary.BigEndian.Uint16(p[4:])), //nolint:gosec // as the protocol has it
		version: int16(binary.BigEndian.Uint16(p[6:])), //nolint:gosec // as the protocol has it
	}
}

func readLength(p []byte) int { return int(int32(binary.BigEndian.Uint32(p))) } //nolint:gosec // as the protocol has it

func readID(p []byte) int32 { return int32(binary.BigEndian.Uint32(p)) } //nolint:gosec // as the protocol has it

// opens says whether a request belongs to the opening of a connection.
func (h header) opens() bool {
	return h.key == keyApiVersions || h.key == keySASLHandshake || h.key == keySASL
}

// names says whether the answer tells the cluster ID.
func (h header) names() bool { return h.key == keyMetadata || h.key == keyDescribeCluster }

// token says whether what looks like a header can't be one: it is a token of the login that follows
// SASL handshake version 0, which has none.
func (h header) token() bool {
	const maxKey, maxVersion = 1000, 31
	return h.key < 0 || h.key > maxKey || h.version < 0 || h.version > maxVersion
}
