package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unique reports whether all keys of the map n are texts, and different ones.
func unique(n *node) bool {
	seen := make(map[string]bool, len(n.entries))
	for _, e := range n.entries {
		if e.key.kind != scalar || seen[e.key.text] {
			return false
		}
		seen[e.key.text] = true
	}
	return true
}

// same reports whether n says v.
func same(n *node, v any) bool {
	switch v := v.(type) {
	case *node:
		return n == v
	case nil:
		return n.kind == null
	case string:
		return n.kind == scalar && n.json == "" && n.text == v
	case bool:
		return n.kind == scalar && n.json == strconv.FormatBool(v)
	case float64:
		f, err := strconv.ParseFloat(n.json, 64)
		return n.kind == scalar && err == nil && f == v
	case []any:
		if n.kind != list || len(n.items) != len(v) {
			return false
		}
		for i := range v {
			if !same(n.items[i], v[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		if n.kind != mapping || len(n.entries) != len(v) || !unique(n) {
			return false
		}
		for _, e := range n.entries {
			if x, ok := v[e.key.text]; !ok || !same(e.value, x) {
				return false
			}
		}
		return true
	}
	text, ok := numberText(v)
	return ok && n.kind == scalar && sameNumber(n.json, text)
}

// sameNumber reports whether two numbers of JSON are the same.
func sameNumber(a, b string) bool {
	if a == b {
		return a != ""
	}
	if integer(a) && integer(b) {
		return false
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

// integer reports whether a number of JSON is written as a whole one. Such ones
// may be too large to be told apart as floats.
func integer(s string) bool { return s != "" && !strings.ContainsAny(s, ".eE") }

// numberText returns a number as the file writes it: without an exponent, which
// the reader takes for a text.
func numberText(v any) (string, bool) {
	var f float64
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), true
	case json.Number:
		s := string(v)
		if !json.Valid([]byte(s)) || strings.TrimSpace(s) != s || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
			return "", false
		}
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return strconv.FormatInt(i, 10), true
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return strconv.FormatUint(u, 10), true
		}
		x, err := v.Float64()
		if err != nil {
			return "", false
		}
		f = x
	case float64:
		f = v
	default:
		return "", false
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", false
	}
	if f == 0 {
		return "0", true // not -0
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if math.Abs(f) >= 1<<63 {
		s += ".0" // too large for a whole number
	}
	return s, true
}

// fresh makes a tree of a value, which may hold nodes. The keys of its maps are in the order given, the
// others sorted behind them; those further inside are sorted. It panics if JSON has no
// such value.
func fresh(v any, order []string) *node {
	switch v := v.(type) {
	case *node:
		return v // what is there already
	case nil:
		return &node{kind: null, text: "null"}
	case string:
		return textNode(v)
	case bool:
		s := strconv.FormatBool(v)
		return &node{kind: scalar, text: s, json: s}
	case []any:
		n := &node{kind: list}
		for _, x := range v {
			n.items = append(n.items, fresh(x, order))
		}
		return n
	case map[string]any:
		n := &node{kind: mapping}
		rank := func(name string) int {
			if i := slices.Index(order, name); i >= 0 {
				return i
			}
			return len(order)
		}
		names := slices.Sorted(maps.Keys(v))
		slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
		for _, name := range names {
			n.entries = append(n.entries, entry{textNode(name), fresh(v[name], nil)})
		}
		return n
	}
	s, ok := numberText(v)
	if !ok {
		panic(fmt.Sprintf("BUG: %T is nothing that JSON has", v))
	}
	return &node{kind: scalar, text: s, json: s}
}

// checkValue refuses what is not as package encoding/json has it, and what a text
// cannot hold.
func checkValue(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("maps and lists are nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool:
		return nil
	case string:
		return checkString(v)
	case []any:
		for _, x := range v {
			if err := checkValue(x, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for name, x := range v {
			if err := cmp.Or(checkString(name), checkValue(x, depth+1)); err != nil {
				return err
			}
		}
		return nil
	}
	if _, ok := numberText(v); !ok {
		return fmt.Errorf("%v is nothing that JSON has", v)
	}
	return nil
}

func textNode(s string) *node { return &node{kind: scalar, text: s} }

// checkString refuses what a text cannot hold.
func checkString(s string) error {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("a text holds NUL")
	case !utf8.ValidString(s):
		return errors.New("a text is not UTF-8")
	}
	return nil
}

// plain returns what n says as package encoding/json has it. A number that float64
// cannot hold is a json.Number.
func plain(n *node) any {
	switch n.kind {
	case scalar:
		switch n.json {
		case "":
			return n.text
		case "true", "false":
			return n.json == "true"
		}
		f, err := strconv.ParseFloat(n.json, 64)
		if err == nil && (!integer(n.json) || strconv.FormatFloat(f, 'f', -1, 64) == n.json || strconv.FormatFloat(f, 'f', 0, 64) == n.json) {
			return f
		}
		return json.Number(n.json)
	case list:
		out := make([]any, 0, len(n.items))
		for _, item := range n.items {
			out = append(out, plain(item))
		}
		return out
	case mapping:
		out := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			if _, ok := out[e.key.text]; !ok {
				out[e.key.text] = plain(e.value)
			}
		}
		return out
	}
	return nil
}

// sameTree reports whether two trees say the same. The keys of maps may be in
// another order.
func sameTree(a, b *node) bool {
	if a == b {
		return true
	}
	if a.kind != b.kind || len(a.items) != len(b.items) || len(a.entries) != len(b.entries) {
		return false
	}
	switch a.kind {
	case scalar:
		// A number may be written in another way than it was made in.
		return a.text == b.text && (a.json == b.json || a.json != "" && sameNumber(a.json, b.json))
	case list:
		for i := range a.items {
			if !sameTree(a.items[i], b.items[i]) {
				return false
			}
		}
	case mapping:
		others := make(map[string][]*node, len(b.entries)) // by key, in the order of b
		for _, e := range b.entries {
			k := string(canonical(nil, e.key))
			others[k] = append(others[k], e.value)
		}
		for _, e := range a.entries {
			k := string(canonical(nil, e.key))
			if len(others[k]) == 0 || !sameTree(e.value, others[k][0]) {
				return false
			}
			others[k] = others[k][1:]
		}
	}
	return true
}

// canonical appends what is the same for all ways to write n. Numbers are told
// apart by their spelling too, for most keys take it as a text.
func canonical(b []byte, n *node) []byte {
	switch n.kind {
	case null:
		return append(b, "null "...)
	case scalar:
		if n.json != "" {
			b = append(b, n.json...)
			b = append(b, ' ')
		}
		return strconv.AppendQuote(b, n.text)
	case list:
		b = append(b, '[')
		for _, item := range n.items {
			b = append(canonical(b, item), ',')
		}
		return append(b, ']')
	}
	b = append(b, '{')
	sorted := slices.Clone(n.entries)
	slices.SortStableFunc(sorted, func(x, y entry) int { return strings.Compare(x.key.text, y.key.text) })
	for _, e := range sorted {
		b = append(canonical(b, e.key), ':')
		b = append(canonical(b, e.value), ',')
	}
	return append(b, '}')
}
