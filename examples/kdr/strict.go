package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// decodeStrict reads one JSON document into to, a pointer to a struct. Every field that isn't
// known, and every value that its field can't take, is a fault; the others are set.
func decodeStrict(a *app, raw []byte, to any) {
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		a.fault("not JSON: %v", err)
		return
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		a.fault("more than one JSON document")
	}
	if !fits(a, "", tree, reflect.TypeOf(to).Elem()) {
		return
	}
	rest, err := json.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(rest, to)
	}
	if err != nil {
		a.fault("%v", err)
	}
}

// fits walks a document beside the type that it is to be, and takes out of it what isn't. It says
// whether v itself may stay.
func fits(a *app, path string, v any, t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	switch {
	case v == nil:
		return true // as if it weren't there
	case isObject && t.Kind() == reflect.Struct:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			at := strings.TrimPrefix(path+"."+name, ".")
			field, known := fieldOf(t, name)
			if !known {
				a.fault("unknown field %s", at)
			}
			if !known || !fits(a, at, object[name], field.Type) {
				delete(object, name)
			}
		}
		return true
	case isList && t.Kind() == reflect.Slice:
		for i, e := range list {
			if !fits(a, fmt.Sprintf("%s[%d]", path, i), e, t.Elem()) {
				list[i] = nil
			}
		}
		return true
	}
	return takes(a, path, v, t)
}

// takes says whether a value that has no parts of its own can be read as what it is to be.
func takes(a *app, path string, v any, t reflect.Type) bool {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, reflect.New(t).Interface())
	}
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return true
	case errors.As(err, &mistyped):
		err = fmt.Errorf("can't take %s for %s", mistyped.Value, describeType(t))
	}
	if path == "" {
		path = "the document"
	}
	a.fault("%s: %v", path, err)
	return false
}

// describeType is what a field wants, in JSON's words.
func describeType(t reflect.Type) string {
	if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || p.Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return "a text"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name && tag != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
