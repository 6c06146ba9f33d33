package mm2

import (
	"bytes"
	"encoding/json"
)

// ConnectOffset is an entry of Connect's offset store: the offset of the last source record that
// was mirrored when MirrorMaker committed last. Copying goes on at one more.
type ConnectOffset struct {
	// Connector is the connector's name: MirrorSourceConnector, in dedicated mode.
	Connector string `json:"connector"`
	// Cluster is the source's alias.
	Cluster   string `json:"cluster"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Offset is -1 where the entry was taken back (a null value): copying starts anew.
	Offset int64 `json:"offset"`
}

// connectKey is the second element of a key; its fields are in the order that Connect writes.
type connectKey struct {
	Cluster   *string `json:"cluster"`
	Partition *int32  `json:"partition"`
	Topic     *string `json:"topic"`
}

// DecodeConnectOffset decodes a record of an mm2-offsets topic. The error is [ErrOtherConnector]
// where the key isn't one of a MirrorSourceConnector, by whatever name, or a [*FormatError].
func DecodeConnectOffset(key, value []byte) (ConnectOffset, error) {
	c := ConnectOffset{Offset: -1}
	var parts []json.RawMessage
	if err := json.Unmarshal(key, &parts); err != nil || len(parts) != 2 {
		return c, &FormatError{What: "connect offset key", Reason: "not a JSON array of two", Err: err}
	}
	if err := json.Unmarshal(parts[0], &c.Connector); err != nil {
		return c, &FormatError{What: "connect offset key", Reason: "no connector name", Err: err}
	}
	var k connectKey
	if err := json.Unmarshal(parts[1], &k); err != nil {
		return c, &FormatError{What: "connect offset key", Reason: "no partition of a source", Err: err}
	}
	if k.Cluster == nil || k.Topic == nil || k.Partition == nil {
		return c, ErrOtherConnector
	}
	if *k.Partition < 0 {
		return c, &FormatError{What: "connect offset key", Reason: "a negative partition"}
	}
	c.Cluster, c.Topic, c.Partition = *k.Cluster, *k.Topic, *k.Partition
	if value == nil || bytes.Equal(value, []byte("null")) {
		return c, nil
	}
	var v struct {
		Offset *int64 `json:"offset"`
	}
	if err := json.Unmarshal(value, &v); err != nil || v.Offset == nil || *v.Offset < 0 {
		return c, &FormatError{What: "connect offset value", Reason: "no offset", Err: err}
	}
	c.Offset = *v.Offset
	return c, nil
}

// Encode is the record's key and value, as Connect's JSON converter writes them. A negative Offset
// is a null value.
func (c ConnectOffset) Encode() (key, value []byte, err error) {
	if key, err = plainJSON([]any{c.Connector, connectKey{&c.Cluster, &c.Partition, &c.Topic}}); err != nil {
		return nil, nil, err
	}
	if c.Offset >= 0 {
		value, err = plainJSON(map[string]int64{"offset": c.Offset})
	}
	return key, value, err
}

// plainJSON is JSON that leaves <, > and & as they are, as Java does.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
