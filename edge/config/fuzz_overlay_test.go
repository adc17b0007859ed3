package config

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/diag"
)

// hardTexts are laid out in ways that people and other programs have.
var hardTexts = []string{
	"", "\n", "# nothing yet\n", "---\n", "---", "--- # c\n...\n", "\ufeff", "\ufeffsites: { a: b }", "{}", "{ }\n", "null\n", "~", "--- {}\n",
	"sites: {}\nfilters:\n", "sites:\n  a: b:1", "sites:\n  a: b:1 # why\n", "sites: # all\n\n  # one\n  a: # this\n    to: b:1 # here\n\n    # routes\n    routes: # these\n      # first\n      /: b # root\n      # last\n  # end of a\n# end\n",
	"sites:\r\n  a: b:1\r\n  c:\r\n    to: d\r\n    routes:\r\n      /x: e\r\n", "sites:\r\n  a: 'b\r\n    c'\r\n  d:\te",
	"sites:\n    a:\n        routes:\n            /: b\n            /x:\n                to: c\n                filters: [ f , g ]\n",
	"sites: { a: { to: b, routes: { /: c, /x: { to: d, filters: f } } }, e: f:1 }\n", "sites: {a: b,}\n", "sites: {\n  a: b, # one\n  c: d # two\n}\n", "sites: {\n  a: b,\n  c: d, # two\n}\n",
	"sites:\n  { a: b,\n    c: { to: d,\n routes: {} } }\n", "{sites: {a: {routes: {/: b}}}, filters: {f: {wasm: x}}}", "{ \"sites\":{\"a\":\"b\",\"c\":{\"to\":\"d\",\"routes\":{\"/\":\"e\"}}} }",
	"sites:\n  a: {routes}\n  c: {to: b, routes: }\n", "filters: {f}\n", "filters:\n  f:\n  g: ~\n  h: null # c\n",
	"sites:\n  a:\n    routes:\n      /x:\n      - to: b\n        when: { query: { v: 1 } }\n      -\n        to: c\n      - d # here\n      - - e\n        - f\n",
	"sites:\n  \"a\":\n    'routes':\n      \"/x\": \"b\"\n      'GET /y' : 'c'\n",
	"sites:\n  a:\n    respond:\n      body: |\n        one\n\n        two\n\n\nfilters:\n  f: { wasm: x }\n", "filters:\n  f:\n    config: |+\n      a\n\n\n  g: { wasm: x }\n", "filters:\n  f:\n    config: >-\n      a\n      b\n", "filters:\n  f:\n    config: |\n      a", "filters:\n  f:\n    config: |2\n        a\n      b\n",
	"sites:\n  a: b\n  c d\n", "sites:\n  a: b\n     c\n\n     d # x\n", "sites:\n  a:\n    b:1\n  c: \"d\n    e\"\n",
	"upstreams: { x: 1.2.3.4:80 }\n\n\nsites:\n\n  a: x\n\n  b: x\n\nfilters:\n\n  f: { wasm: x }\n\n", "sites:\n  a:\n    filters:\n    - f\n    - g # c\n    routes: { /: b }\n",
	"sites:\n  a: &x b\n", "sites: [a]\n", "sites: x\n", "a: 1\na: 2\nsites: { a: b }\n", "sites: { a: b }\nsites: { a: c }\n", "filters: { f: { config: { a: 0x1F, b: 1_000, c: 1.50, d: .5, e: True, f: -0, g: 12345678901234567890, h: 1e3 } } }\n",
	"sites:\n  a: b\n...\n", "sites:\n  a: b\n---\n", "\t\nsites: { a: b }\n", "sites:\n  a: b\n\t\n", "sites:\n  a:   \n    to:   b   \n", "sites:\n a:\n  routes:\n   /: b\n   /x:\n    to: c\n", "sites:\n  ä: ü # ö\n  a: 🙂 # 🙂\n",
	"a:\n'b':\n      \"\"#c\n'd': 'e'", "sites: {0:{0:A}}", "sites:\n a:\n b", "filters: {,}", "filters: { a: b, c: d } # e\nf:\nf: # g\n",
}

// seeds returns texts to begin with.
func seeds(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	texts := slices.Clone(hardTexts)
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(src))
	}
	return texts
}

// values are what overlays put in, as JSON.
var values = []string{
	`null`, `"b"`, `{}`, `[]`, `""`, `true`, `1.5`, `{"to":"b"}`, `{"to":"b","filters":["f"]}`, `{"to":"b:1","filters":["f","g"],"when":{"query":{"v":"1"}}}`, `[{"to":"b"},"c"]`, `{"wasm":"uploaded"}`,
	`{"wasm":"uploaded","config":{"a":[1,{"b":null}],"c":"x\ny\n","d":{"e":"# no comment"}}}`, `{"filters":[]}`, `"a: b, {c} [d] #e"`, `"one\ntwo"`, `{"to":"d","filters":["f","g","h"]}`, `[["e","f","g"]]`, `{"config":{"a":31,"g":12345678901234567890}}`,
}

// overlayOf makes an overlay of a number and JSON: of what is there, or of something
// else.
func overlayOf(root *node, which uint16, value string) (Overlay, bool) {
	o := Overlay{Kind: OverlayKind(which % 4)}
	which /= 4
	if json.Unmarshal([]byte(value), &o.Value) != nil {
		return o, false
	}
	pick := func(n *node, other string) string {
		var names []string
		if n != nil && n.kind == mapping {
			for _, e := range n.entries {
				if e.key.kind == scalar && e.key.text != "" && !strings.ContainsRune(e.key.text, 0) {
					names = append(names, e.key.text)
				}
			}
		}
		names = append(names, other)
		name := names[int(which)%len(names)]
		which /= uint16(len(names))
		return name
	}
	get := func(n *node, key string) *node {
		if n == nil || n.kind != mapping {
			return nil
		}
		v, _ := n.get(key)
		return v
	}
	switch o.Kind {
	case OverlayFilter:
		o.Name = pick(get(root, "filters"), "new filter")
	case OverlayFunction:
		o.Name = pick(get(root, "functions"), "hello")
	default:
		o.Site = pick(get(root, "sites"), "*.example.org")
		if o.Kind == OverlayRoute {
			o.Match = pick(get(get(get(root, "sites"), o.Site), "routes"), "GET,HEAD /u/{id}")
		} else if m, ok := o.Value.(map[string]any); ok {
			delete(m, "routes")
		}
	}
	return o, true
}

// simple reports whether a tree can be said in JSON: keys are texts, and there once.
func simple(n *node) bool {
	if n.kind == mapping && !unique(n) {
		return false
	}
	for _, item := range n.items {
		if !simple(item) {
			return false
		}
	}
	for _, e := range n.entries {
		if !simple(e.value) {
			return false
		}
	}
	return true
}

// told is what a text is to say after an overlay: the same as Fold by other means.
func told(v any, o Overlay) any {
	keys := o.path()
	if o.Kind == OverlaySite {
		site, _ := dig(v, keys)
		m, _ := site.(map[string]any)
		routes, has := m["routes"]
		switch want := o.Value.(type) {
		case map[string]any:
			if has {
				want = maps.Clone(want)
				want["routes"] = routes
			}
			return bury(v, keys, want)
		case nil:
			if has {
				return bury(v, keys, map[string]any{"routes": routes})
			}
			return bury(v, keys, nil)
		}
		if has {
			return bury(v, keys, map[string]any{"to": o.Value, "routes": routes})
		}
	}
	if site, ok := dig(v, keys[:2]); ok && o.Kind == OverlayRoute && o.Value != nil && reflect.TypeOf(site) != reflect.TypeOf(map[string]any{}) && site != nil {
		v = bury(v, keys[:2], map[string]any{"to": site})
	}
	return bury(v, keys, o.Value)
}

func dig(v any, keys []string) (any, bool) {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		var ok bool
		if v, ok = m[k]; !ok {
			return nil, false
		}
	}
	return v, true
}

// bury returns v with x behind keys; nil takes away.
func bury(v any, keys []string, x any) any {
	if len(keys) == 0 {
		return x
	}
	m, _ := v.(map[string]any)
	old, has := m[keys[0]]
	if x == nil && !has {
		return v
	}
	out := maps.Clone(m)
	if out == nil {
		out = make(map[string]any)
	}
	now := bury(old, keys[1:], x)
	if now == nil && len(keys) == 1 {
		delete(out, keys[0])
	} else {
		out[keys[0]] = now
	}
	return out
}

// checkFold checks all that is promised of Fold. It may fail for texts that are laid
// out as nobody would, if lax.
func checkFold(t *testing.T, src string, o Overlay, lax bool) {
	t.Helper()
	text := func(b []byte) []Text { return []Text{{"f.yaml", b}} }
	before := text([]byte(src))
	root := readText(before[0], new(diag.List))
	out, err := Fold(before, o)
	if string(before[0].Bytes) != src {
		t.Fatal("the text that was given has changed")
	}
	if root == nil {
		if err == nil {
			t.Error("a text was edited that cannot be read")
		}
		return
	}
	if err != nil {
		if _, ok := errors.AsType[*layoutError](err); ok && !lax {
			t.Errorf("%q, %+v: %v", src, o, err)
		}
		return
	}
	checkRest(t, src, string(out[0].Bytes), root, o)
	if !simple(root) {
		return
	}
	after := readText(out[0], new(diag.List))
	if after == nil {
		t.Fatalf("%q is no YAML", out[0].Bytes)
	}
	had, _ := Value(before, o)
	want := told(plain(root), o)
	if empty, ok := o.Value.(map[string]any); ok && len(empty) == 0 && had != nil && reflect.DeepEqual(had, o.Value) {
		want = plain(root) // nothing behind a key is an empty map
	}
	if got, want := loose(t, plain(after)), loose(t, want); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %+v: %q\n got %v\nwant %v", src, o, out[0].Bytes, got, want)
	}
	again, err := Fold(out, o)
	if err != nil || string(again[0].Bytes) != string(out[0].Bytes) {
		t.Errorf("%q, %+v: %q, and once more: %q, %v", src, o, out[0].Bytes, again, err)
	}
	if got, want := Digest(out, o) != "", o.Value != nil; got != want && !(o.Kind == OverlaySite && !want) {
		t.Errorf("%q: there is a digest: %v, want %v", out[0].Bytes, got, want)
	}
	back := o
	back.Value = had
	out, err = Fold(out, back)
	if err != nil {
		if _, ok := errors.AsType[*layoutError](err); ok && !lax {
			t.Errorf("%q, %+v, and back: %v", src, o, err)
		}
		return
	}
	if got, want := tidy(loose(t, plain(readText(out[0], new(diag.List))))), tidy(loose(t, plain(root))); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %+v, and back: %q\n got %v\nwant %v", src, o, out[0].Bytes, got, want)
	}
}

// loose makes all numbers float64.
func loose(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return jsonValue(t, string(b))
}

// tidy makes equal what means the same: sections with nothing in them, and the two
// ways to write a target.
func tidy(v any) any {
	root, ok := v.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	empty := func(v any) bool { return v == nil || reflect.DeepEqual(v, map[string]any{}) }
	if sites, ok := root["sites"].(map[string]any); ok {
		for key, s := range sites {
			site, ok := s.(map[string]any)
			switch {
			case !ok && s != nil:
				site = map[string]any{"to": s}
			case !ok:
				site = map[string]any{}
			case empty(site["routes"]):
				delete(site, "routes")
			}
			if routes, ok := site["routes"].(map[string]any); ok {
				for k, r := range routes {
					if r == nil {
						routes[k] = map[string]any{}
					}
				}
			}
			sites[key] = site
			if len(site) == 0 {
				delete(sites, key)
			}
		}
	}
	for _, name := range []string{"sites", "filters", "functions"} {
		if m, ok := root[name].(map[string]any); ok {
			for k, x := range m {
				if x == nil {
					m[k] = map[string]any{}
				}
			}
		}
		if empty(root[name]) {
			delete(root, name)
		}
	}
	return root
}

// checkRest wants all lines as they were but those of what is edited.
func checkRest(t *testing.T, src, out string, root *node, o Overlay) {
	t.Helper()
	if src == out {
		return
	}
	bare := strings.TrimPrefix(src, "\ufeff")
	if strings.HasPrefix(src, "\ufeff") != strings.HasPrefix(out, "\ufeff") {
		t.Errorf("%q: the mark in front has changed: %q", src, out)
	}
	out = strings.TrimPrefix(out, "\ufeff")
	text := []byte(bare)
	if !strings.HasSuffix(bare, "\n") {
		text = append(text, '\n')
	}
	l, err := lay(text, root)
	if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	// The deepest that is there of what leads to the value, and what that stands in.
	n, at, in := root, root, root
	for _, name := range o.path() {
		if n.kind != mapping {
			break
		}
		i := slices.IndexFunc(n.entries, func(e entry) bool { return e.is(name) })
		if i < 0 {
			break
		}
		in = at
		n, at = n.entries[i].value, n.entries[i].key
	}
	if o.Value == nil {
		at = in // it may become empty
	}
	from, to := l.lineStart(l.spans[at].start), l.nextLine(l.spans[n].end)
	if n.kind == mapping && !l.spans[n].braces && !l.spans[n].flow && o.Value != nil && o.Kind != OverlaySite {
		if _, had := dig(plain(root), o.path()); !had {
			to = from // lines are added, and none is changed
		}
	}
	if !strings.HasPrefix(out, bare[:min(from, len(bare))]) {
		t.Errorf("%q, %+v: the text has changed before byte %d: %q", src, o, from, out)
	}
	lines := strings.Split(out[min(from, len(out)):], "\n")
	rest := bare[min(to, len(bare)):]
	for line := range strings.SplitAfterSeq(rest, "\n") {
		if line = strings.TrimRight(line, "\n"); line == "" {
			continue
		}
		i := slices.IndexFunc(lines, func(s string) bool { return strings.TrimSuffix(s, "\r") == strings.TrimSuffix(line, "\r") })
		if i < 0 {
			t.Errorf("%q, %+v: the line %q has gone: %q", src, o, line, out)
			return
		}
		lines = lines[i+1:]
	}
}

// FuzzFold wants of any overlay of any text that the result says what was meant and
// nothing else has changed.
func FuzzFold(f *testing.F) {
	for i, src := range seeds(f) {
		f.Add(src, uint16(i), values[i%len(values)])
	}
	f.Fuzz(func(t *testing.T, src string, which uint16, value string) {
		root := readText(Text{"f.yaml", []byte(src)}, new(diag.List))
		if root == nil {
			root = &node{}
		}
		if o, ok := overlayOf(root, which, value); ok {
			checkFold(t, src, o, true)
		}
	})
}

// TestFoldSeeds tries every kind of change with every text.
func TestFoldSeeds(t *testing.T) {
	for i, src := range seeds(t) {
		root := readText(Text{"f.yaml", []byte(src)}, new(diag.List))
		if root == nil {
			root = &node{}
		}
		seen := make(map[Overlay]bool)
		for j, value := range values {
			every := 4 // FuzzFold goes on from here
			if i >= len(hardTexts) {
				every = len(values) // these are much alike
			}
			if (i+j)%every != 0 {
				continue
			}
			for which := range uint16(4 * 24) {
				o, _ := overlayOf(root, which, value)
				key := o
				key.Value = value
				if !seen[key] {
					seen[key] = true
					checkFold(t, src, o, false)
				}
			}
		}
	}
}
