package config

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// jsonValue returns what a text of JSON stands for.
func jsonValue(t *testing.T, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func filterOf(name string) Overlay { return Overlay{Kind: OverlayFilter, Name: name} }
func routeOf(match string) Overlay { return Overlay{Kind: OverlayRoute, Site: "a", Match: match} }
func siteOf() Overlay              { return Overlay{Kind: OverlaySite, Site: "a"} }
func foldOne(src string, o Overlay) (string, error) {
	out, err := Fold([]Text{{"f.yaml", []byte(src)}}, o)
	if err != nil {
		return "", err
	}
	return string(out[0].Bytes), nil
}

// TestFold wants texts to be edited as a careful person would.
func TestFold(t *testing.T) {
	const auth = `{"wasm":"uploaded"}`
	for _, c := range []struct {
		name, src string
		o         Overlay
		value     string
		want      string
	}{
		{"a section that is missing", "sites:\n  a: b:1 # x\n", filterOf("auth"), auth, "sites:\n  a: b:1 # x\n\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"blank lines between sections", "listen: { http: :80 }\n\nsites:\n  a: b:1\n", filterOf("auth"), auth, "listen: { http: :80 }\n\nsites:\n  a: b:1\n\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"sections of a line each", "admin: off\nstate: /x\nsites: { a: b }\n", filterOf("auth"), auth, "admin: off\nstate: /x\nsites: { a: b }\n\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"a blank line at the end", "sites:\n  a: b:1\n\n", filterOf("auth"), auth, "sites:\n  a: b:1\n\nfilters:\n  auth: { wasm: uploaded }\n\n"},
		{"no end of the line", "sites:\n  a: b:1", filterOf("auth"), auth, "sites:\n  a: b:1\n\nfilters:\n  auth: { wasm: uploaded }"},
		{"comments below", "sites:\n  a: b:1\n  # c: d\n\n# The end.\n", filterOf("auth"), auth, "sites:\n  a: b:1\n  # c: d\n\nfilters:\n  auth: { wasm: uploaded }\n\n# The end.\n"},
		{"carriage returns at the end", "sites:\r\n  a: b:1\r\n", filterOf("auth"), auth, "sites:\r\n  a: b:1\r\n\r\nfilters:\r\n  auth: { wasm: uploaded }\r\n"},
		{"a mark of the beginning", "---\n", filterOf("auth"), auth, "---\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"nothing but an empty line", "\n", filterOf("auth"), auth, "\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"an empty text", "", filterOf("auth"), auth, "filters:\n  auth: { wasm: uploaded }\n"},
		{"comments only", "# mine\n", filterOf("auth"), auth, "# mine\n\nfilters:\n  auth: { wasm: uploaded }\n"},
		{"a mark of the end", "sites: { a: b }\n...\n", filterOf("auth"), auth, "sites: { a: b }\n\nfilters:\n  auth: { wasm: uploaded }\n...\n"},
		{"a mark of the order of bytes", "\ufeff---\nsites: { a: b }", filterOf("auth"), auth, "\ufeff---\nsites: { a: b }\n\nfilters:\n  auth: { wasm: uploaded }"},
		{"a section that is empty", "filters: # none yet\nsites: { a: b }\n", filterOf("auth"), auth, "filters: # none yet\n  auth: { wasm: uploaded }\nsites: { a: b }\n"},
		{"a section that is null", "filters: null # none yet\n", filterOf("auth"), auth, "filters: # none yet\n  auth: { wasm: uploaded }\n"},
		{"a section in braces", "filters: {} # none yet\n", filterOf("auth"), auth, "filters: { auth: { wasm: uploaded } } # none yet\n"},
		{"an entry in braces", "filters: { f: { wasm: x } } # one\n", filterOf("auth"), auth, "filters: { f: { wasm: x }, auth: { wasm: uploaded } } # one\n"},
		{"braces on lines", "filters: {\n  f: { wasm: x } # one\n}\n", filterOf("auth"), auth, "filters: {\n  f: { wasm: x }, # one\n  auth: { wasm: uploaded }\n}\n"},
		{"braces with a comma at the end", "filters: {\n  f: { wasm: x }, # one\n}\n", filterOf("auth"), auth, "filters: {\n  f: { wasm: x }, # one\n  auth: { wasm: uploaded },\n}\n"},
		{"indentation", "sites:\n    a: b\nfilters:\n    f:\n        wasm: x\n    # g:\n    #     wasm: y\n\nadmin: off\n", filterOf("auth"), `{"wasm":"x","config":{"a":{"b":1}}}`,
			"sites:\n    a: b\nfilters:\n    f:\n        wasm: x\n    auth:\n        wasm: x\n        config:\n            a: { b: 1 }\n    # g:\n    #     wasm: y\n\nadmin: off\n"},
		{"carriage returns", "filters:\r\n  f: { wasm: x }\r\nsites: { a: b }", filterOf("auth"), `{"wasm":"x","config":"a\nb\n"}`, "filters:\r\n  f: { wasm: x }\r\n  auth:\r\n    wasm: x\r\n    config: |\r\n      a\r\n      b\r\nsites: { a: b }"},
		{"carriage returns in quotes", "filters:\r\n  f: { wasm: 'x\r\n    y' }\r\nsites:\r\n  a:\tb # c\r\n", routeOf("/x"), `"c"`, "filters:\r\n  f: { wasm: 'x\r\n    y' }\r\nsites:\r\n  a:\r\n    to: b # c\r\n    routes:\r\n      /x: c\r\n"},
		{"a key of a filter", "filters:\n  auth:\n    # where\n    wasm: x # why\n    memory: 1MB\n", filterOf("auth"), `{"wasm":"x","memory":"2MB","config":{"k":"v"}}`, "filters:\n  auth:\n    # where\n    wasm: x # why\n    memory: 2MB\n    config: { k: v }\n"},
		{"take a filter away", "filters:\n  # of all\n  f: { wasm: x } # one\n  auth:\n    wasm: y\n    # for us\n    memory: 1MB # much\n  g: { wasm: z }\n", filterOf("auth"), `null`, "filters:\n  # of all\n  f: { wasm: x } # one\n  g: { wasm: z }\n"},
		{"take the last filter away", "filters: # all\n  auth: { wasm: x } # one\n\nsites: { a: b }\n", filterOf("auth"), `null`, "filters: {} # all\n\nsites: { a: b }\n"},
		{"take a filter out of braces", "filters: { f: { wasm: x }, auth: { wasm: y }, g: { wasm: z } }\n", filterOf("auth"), `null`, "filters: { f: { wasm: x }, g: { wasm: z } }\n"},
		{"take the last one out of braces", "filters: { f: { wasm: x }, auth: { wasm: y } }\n", filterOf("auth"), `null`, "filters: { f: { wasm: x } }\n"},
		{"take a line out of braces", "filters: {\n  f: x, # f\n  auth: y, # y\n  g: z # g\n}\n", filterOf("auth"), `null`, "filters: {\n  f: x, # f\n  g: z # g\n}\n"},
		{"take away what is not there", "filters: { f: { wasm: x } }\n", filterOf("auth"), `null`, "filters: { f: { wasm: x } }\n"},

		{"a target that becomes a map", "sites:\n  a: b:1 # why\n", routeOf("/x"), `"function:hello"`, "sites:\n  a:\n    to: b:1 # why\n    routes:\n      /x: function:hello\n"},
		{"on a line of its own", "sites:\n  a: # why\n    b:1\n", routeOf("/x"), `"c"`, "sites:\n  a: # why\n    to: b:1\n    routes:\n      /x: c\n"},
		{"in braces", "sites: { a: b:1, c: d }\n", routeOf("/x"), `"c"`, "sites: { a: { to: b:1, routes: { /x: c } }, c: d }\n"},
		{"a key with colons in braces", "sites: { http://a:81: b:1 }\n", Overlay{Kind: OverlaySite, Site: "http://a:81"}, `{"to":"b:1","log":"off"}`, "sites: { \"http://a:81\": { to: b:1, log: off } }\n"},
		{"a target of the site", "sites:\n  a:\n    to: b:1 # why\n", routeOf("GET,HEAD /u/{id}"), `"c"`, "sites:\n  a:\n    to: b:1 # why\n    routes:\n      GET,HEAD /u/{id}: c\n"},
		{"routes that are empty", "sites:\n  a:\n    routes: {}\n    to: b\n", routeOf("/x"), `"c"`, "sites:\n  a:\n    routes: { /x: c }\n    to: b\n"},
		{"routes that say nothing", "sites:\n  a:\n    routes:\n    to: b\n", routeOf("/x"), `"c"`, "sites:\n  a:\n    routes:\n      /x: c\n    to: b\n"},
		{"a filter on a target", "sites:\n  a:\n    routes:\n      /x: b:1 # why\n      /y: c\n", routeOf("/x"), `{"to":"b:1","filters":["auth"]}`, "sites:\n  a:\n    routes:\n      /x: { to: b:1, filters: [auth] } # why\n      /y: c\n"},
		{"a filter on a route", "sites:\n  a:\n    routes:\n      /x: { to: \"b:1\", filters: [ f ], cache: on } # why\n", routeOf("/x"), `{"to":"b:1","filters":["f","auth"],"cache":"on"}`, "sites:\n  a:\n    routes:\n      /x: { to: \"b:1\", filters: [ f, auth ], cache: on } # why\n"},
		{"a filter in front", "sites: { a: { routes: { /x: { to: b, filters: [f, g] } } } }\n", routeOf("/x"), `{"to":"b","filters":["auth","f","g"]}`, "sites: { a: { routes: { /x: { to: b, filters: [auth, f, g] } } } }\n"},
		{"a filter in a list on lines", "sites:\n  a:\n    routes:\n      /x:\n        to: b\n        filters:\n        - f # f\n        # and\n        - g\n", routeOf("/x"), `{"to":"b","filters":["f","auth","g"]}`, "sites:\n  a:\n    routes:\n      /x:\n        to: b\n        filters:\n        - f # f\n        - auth\n        # and\n        - g\n"},
		{"a filter less", "sites:\n  a:\n    routes:\n      /x:\n        to: b\n        filters:\n          - f # f\n          - g # g\n", routeOf("/x"), `{"to":"b","filters":["g"]}`, "sites:\n  a:\n    routes:\n      /x:\n        to: b\n        filters:\n          - g # g\n"},
		{"one that was no list", "sites:\n  a:\n    routes:\n      /x:\n        filters: f # f\n        to: b\n", routeOf("/x"), `{"to":"b","filters":["f","auth"]}`, "sites:\n  a:\n    routes:\n      /x:\n        filters: [f, auth] # f\n        to: b\n"},
		{"one of several routes", "sites:\n  a:\n    routes:\n      /x:\n        - when: { query: { v: 1 } } # one\n          to: b\n        - c # two\n", routeOf("/x"), `[{"when":{"query":{"v":1}},"to":"b","filters":["f"]},{"to":"c","filters":["f"]}]`,
			"sites:\n  a:\n    routes:\n      /x:\n        - when: { query: { v: 1 } } # one\n          to: b\n          filters: [f]\n        - { to: c, filters: [f] } # two\n"},
		{"a map that becomes a target", "sites:\n  a:\n    routes:\n      /x: # why\n        # this\n        to: b\n        cache: on # c\n      /y: c\n", routeOf("/x"), `"d"`, "sites:\n  a:\n    routes:\n      /x: d # why\n        # this\n      /y: c\n"},
		{"take a route away", "sites:\n  a:\n    routes:\n      /x: b # why\n      /y: c\n", routeOf("/x"), `null`, "sites:\n  a:\n    routes:\n      /y: c\n"},
		{"keys in quotes", "\"sites\":\n  'a':\n    \"routes\":\n      '/x': 'b'\n", routeOf("/x"), `"c"`, "\"sites\":\n  'a':\n    \"routes\":\n      '/x': c\n"},
		{"a body of several lines", "sites:\n  a:\n    routes:\n      /x:\n        respond:\n          body: |\n            one\n            two\n\n      /y: c\n", routeOf("/x"), `{"respond":{"body":"one\nthree\n","status":404}}`, "sites:\n  a:\n    routes:\n      /x:\n        respond:\n          body: |\n            one\n            three\n          status: 404\n\n      /y: c\n"},

		{"filters of a site", "sites:\n  a: b:1 # why\n", siteOf(), `{"to":"b:1","filters":["auth"]}`, "sites:\n  a: { to: b:1, filters: [auth] } # why\n"},
		{"filters of a site with routes", "sites:\n  a: # a\n    to: b # why\n\n    # these\n    routes:\n      /x: c\n", siteOf(), `{"to":"b","filters":["auth"]}`, "sites:\n  a: # a\n    to: b # why\n    filters: [auth]\n\n    # these\n    routes:\n      /x: c\n"},
		{"filters of a site with routes only", "sites:\n  a:\n    # these\n    routes:\n      /x: c\n", siteOf(), `{"filters":["auth"]}`, "sites:\n  a:\n    filters: [auth]\n    # these\n    routes:\n      /x: c\n"},
		{"take a site's settings away", "sites:\n  a:\n    to: b\n    routes:\n      /x: c\n", siteOf(), `null`, "sites:\n  a:\n    routes:\n      /x: c\n"},
		{"take a site away", "sites:\n  a: b\n  c: d\n", siteOf(), `null`, "sites:\n  c: d\n"},
		{"a new site", "sites:\n  c: d\n", siteOf(), `"b:1"`, "sites:\n  c: d\n  a: b:1\n"},
	} {
		c.o.Value = jsonValue(t, c.value)
		got, err := foldOne(c.src, c.o)
		if err != nil || got != c.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
		checkFold(t, c.src, c.o, false)
	}
}

// TestFoldSections wants sections that are new to stand apart, however many come and in
// how many steps.
func TestFoldSections(t *testing.T) {
	const src, want = "# The shop.\nsites:\n  a: b:1\n", "# The shop.\nsites:\n  a: b:1\n\nfilters:\n  f: { wasm: uploaded }\n  g: { wasm: uploaded }\n\nfunctions:\n  h: { wasm: uploaded }\n"
	value := map[string]any{"wasm": "uploaded"}
	overlays := []Overlay{{Kind: OverlayFilter, Name: "f", Value: value}, {Kind: OverlayFilter, Name: "g", Value: value}, {Kind: OverlayFunction, Name: "h", Value: value}}
	once, err := Fold([]Text{{"f.yaml", []byte(src)}}, overlays...)
	if err != nil {
		t.Fatal(err)
	}
	if string(once[0].Bytes) != want {
		t.Errorf("at once: got\n%s\nwant\n%s", once[0].Bytes, want)
	}
	steps := []Text{{"f.yaml", []byte(src)}}
	for _, o := range append(overlays, overlays...) { // the second time they are there
		if steps, err = Fold(steps, o); err != nil {
			t.Fatal(err)
		}
	}
	if string(steps[0].Bytes) != want {
		t.Errorf("one by one: got\n%s\nwant\n%s", steps[0].Bytes, want)
	}
}

// TestFoldTexts wants the text to be edited that has the thing, else the first.
func TestFoldTexts(t *testing.T) {
	texts := []Text{{"main.yaml", []byte("sites: { a: b }\ninclude: x/*\n")}, {"x/1.yaml", []byte("sites:\n  c: d # here\nfilters:\n  f: { wasm: x }\n")}, {"x/2.yaml", []byte("# nothing\n")}}
	out, err := Fold(texts,
		Overlay{Kind: OverlayRoute, Site: "c", Match: "/x", Value: "function:hello"},
		Overlay{Kind: OverlayFilter, Name: "f", Value: map[string]any{"wasm": "uploaded"}},
		Overlay{Kind: OverlayFunction, Name: "hello", Value: map[string]any{"wasm": "uploaded"}},
		Overlay{Kind: OverlayRoute, Site: "c", Match: "/x", Value: map[string]any{"function": "hello", "filters": []any{"f"}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"sites: { a: b }\ninclude: x/*\n\nfunctions:\n  hello: { wasm: uploaded }\n",
		"sites:\n  c:\n    to: d # here\n    routes:\n      /x: { function: hello, filters: [f] }\nfilters:\n  f: { wasm: uploaded }\n",
		"# nothing\n",
	} {
		if got := string(out[i].Bytes); got != want || out[i].Name != texts[i].Name {
			t.Errorf("%s: got\n%s\nwant\n%s", out[i].Name, got, want)
		}
	}
	o := Overlay{Kind: OverlayRoute, Site: "c", Match: "/x"}
	if v, ok := Value(out, o); !ok || !reflect.DeepEqual(v, map[string]any{"function": "hello", "filters": []any{"f"}}) {
		t.Errorf("got %v, %v", v, ok)
	}
	if v, ok := Value(texts, o); ok || v != nil || Digest(texts, o) != "" {
		t.Errorf("got %v, %v of what is not there", v, ok)
	}
}

// TestFoldErrors wants errors that say what is wrong and what can be done.
func TestFoldErrors(t *testing.T) {
	const fine = "sites: { a: b }\n"
	for _, c := range []struct {
		src   string
		o     Overlay
		value any
		want  string
	}{
		{"sites: [", filterOf("f"), "x", "f.yaml cannot be edited: "},
		{fine, Overlay{Kind: OverlayRoute, Site: "x", Match: "/"}, "b", `the route "/" of the site "x": there is no such site`},
		{fine, filterOf(""), "b", "it has no name"},
		{fine, filterOf("a\x00"), "b", "a text holds NUL"},
		{fine, filterOf("a"), []any{map[string]any{"x": "\x00"}}, "a text holds NUL"},
		{fine, filterOf("a"), map[string]any{"\x00": 1}, "a text holds NUL"},
		{fine, filterOf("a"), "\xff", "a text is not UTF-8"},
		{fine, filterOf("a"), math.NaN(), "nothing that JSON has"},
		{fine, filterOf("a"), json.Number("0x1"), "nothing that JSON has"},
		{fine, filterOf("a"), struct{}{}, "nothing that JSON has"},
		{fine, filterOf(strings.Repeat("x", maxKey+1)), "b", "its name is 4097 bytes"},
		{fine, Overlay{Kind: 9, Name: "x"}, "b", "unknown kind"},
		{fine, siteOf(), map[string]any{"routes": nil}, "routes are changed one by one"},
		{"filters: [a]\n", filterOf("a"), "b", `a map is needed that could hold "a", and this is a list`},
		{"sites: { a: { routes: x } }\n", routeOf("/"), "b", `a map is needed that could hold "/", and this is a value`},
		{"filters: { a: b }\nfilters: { a: c }\n", filterOf("a"), "b", `"filters" stands twice`},
		{"filters: { a: b, a: c }\n", filterOf("a"), "b", `"a" stands twice`},
		{"0:\n0\n:", filterOf("a"), "x", `the filter "a": f.yaml cannot be edited as it is laid out: a part of it is written in an unusual way, in line 2 or before; write by hand, under filters > a: x`},
	} {
		c.o.Value = c.value
		_, err := foldOne(c.src, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %+v: got %v, want %q", c.src, c.o, err, c.want)
		}
	}
	if _, err := Fold(nil, filterOf("f")); err == nil {
		t.Error("there is no error without a text")
	}
	// There is hardly a text that can be read and not edited. A person can.
	o := routeOf("/x")
	lost := &layoutError{"f.yaml", errLost.Error()}
	if got, want := byHand([]Overlay{o}, lost).Error(), `the route "/x" of the site "a": f.yaml cannot be edited as it is laid out: a part of it is written in an unusual way; take away by hand what stands under sites > a > routes > /x`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	o.Value = map[string]any{"to": "b", "filters": []any{"f"}}
	if got, want := byHand([]Overlay{o}, lost).Error(), `unusual way; write by hand, under sites > a > routes > /x: { filters: [f], to: b }`; !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	// A good one beside a bad one is not lost in the message.
	if _, err := Fold([]Text{{"f", []byte(fine)}}, Overlay{Kind: OverlayFilter, Name: "f", Value: "x"}, Overlay{Kind: OverlayRoute, Site: "x", Match: "/", Value: "b"}); err == nil || !strings.Contains(err.Error(), "no such site") {
		t.Errorf("got %v", err)
	}
}

// TestDigest wants the same for the same value, and nothing else.
func TestDigest(t *testing.T) {
	digest := func(src string, o Overlay) string { return Digest([]Text{{"f.yaml", []byte(src)}}, o) }
	same := []string{
		"filters: { a: { wasm: x, config: { b: 1, c: [d, null] } } }",
		"# c\nfilters:\n  \"a\":\n    config: # c\n      c:\n      - 'd'\n      - ~\n      b: 1\n\n    wasm: \"x\" # d\n",
		"sites: { a: b }\r\nfilters:\r\n  a: {config: {c: [d, ], b: 1}, wasm: x}\r\n",
	}
	want := digest(same[0], filterOf("a"))
	for _, src := range same[:2] {
		if got := digest(src, filterOf("a")); got != want || len(got) != 64 {
			t.Errorf("%q: got %s, want %s", src, got, want)
		}
	}
	seen := map[string]string{}
	for _, src := range []string{
		"filters: { a: 1 }", "filters: { a: \"1\" }", "filters: { a: 01 }", "filters: { a: true }", "filters: { a: 'true' }", "filters: { a: [1] }", "filters: { a: [[1]] }", "filters: { a: [1, 1] }", "filters: { a: {} }", "filters: { a: [] }",
		"filters: { a: }", "filters: { a: '' }", "filters: { a: { b: c } }", "filters: { a: { c: b } }", "filters: { a: [b, c] }", "filters: { a: [c, b] }", "filters: { a: 'b\", \"c' }", "filters: { b: 1 }",
	} {
		got := digest(src, filterOf("a"))
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the digest %q", src, other, got)
		}
		seen[got] = src
	}
	// Routes are no part of what a site says for all of them.
	if x, y := digest("sites: { a: { to: b, routes: { /x: c } } }", siteOf()), digest("sites: { a: { routes: { /y: d }, to: b } }", siteOf()); x != y || x == "" {
		t.Errorf("got %q and %q", x, y)
	}
}

// TestValue wants what can be written back.
func TestValue(t *testing.T) {
	src := "sites:\n  a:\n    cache: on\n    routes: { /x: { to: b, filters: f }, /y: , /z: [ c, { to: d } ] }\n  b: x:1\n  c: { routes: { /: x } }\nfilters: { a: { config: { x: 0x1F, y: 1.50, z: 12345678901234567890, t: True, n: ~, s: 1e3, k: 9007199254740993 } } }\n"
	texts := []Text{{"f.yaml", []byte(src)}}
	for _, c := range []struct {
		o    Overlay
		want string
	}{
		{routeOf("/x"), `{"filters":"f","to":"b"}`},
		{routeOf("/y"), `{}`},
		{routeOf("/z"), `["c",{"to":"d"}]`},
		{siteOf(), `{"cache":"on"}`},
		{Overlay{Kind: OverlaySite, Site: "b"}, `"x:1"`},
		{Overlay{Kind: OverlaySite, Site: "c"}, `{}`},
		{filterOf("a"), `{"config":{"k":9007199254740993,"n":null,"s":"1e3","t":true,"x":31,"y":1.5,"z":12345678901234567890}}`},
	} {
		v, ok := Value(texts, c.o)
		if b, err := json.Marshal(v); err != nil || !ok || string(b) != c.want {
			t.Errorf("%s: got %s, %v, %v, want %s", &c.o, b, ok, err, c.want)
		}
		c.o.Value = v
		if out, err := Fold(texts, c.o); err != nil || string(out[0].Bytes) != src {
			t.Errorf("%s: written back it is %s, %v", &c.o, out[0].Bytes, err)
		}
	}
}

// TestMergePatch wants what RFC 7396 has in its appendix A.
func TestMergePatch(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		v, patch := jsonValue(t, c[0]), jsonValue(t, c[1])
		got, err := json.Marshal(MergePatch(v, patch))
		if err != nil || string(got) != c[2] {
			t.Errorf("%s with %s: got %s, %v, want %s", c[0], c[1], got, err, c[2])
		}
		if !reflect.DeepEqual(v, jsonValue(t, c[0])) || !reflect.DeepEqual(patch, jsonValue(t, c[1])) {
			t.Errorf("%s with %s: they have been changed: %v, %v", c[0], c[1], v, patch)
		}
	}
}

// TestFoldServes wants a file that is right to be right after an overlay of each
// kind.
func TestFoldServes(t *testing.T) {
	files, err := filepath.Glob("testdata/ok-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		was, problems := Parse(name, src, world)
		if was == nil {
			t.Fatal(problems)
		}
		key := was.Sites[0].Key
		out, err := Fold(was.Texts(),
			Overlay{Kind: OverlayFilter, Name: "new-filter", Value: map[string]any{"wasm": "uploaded", "config": map[string]any{"a": 1.0}}},
			Overlay{Kind: OverlayFunction, Name: "new-function", Value: map[string]any{"wasm": "uploaded"}},
			Overlay{Kind: OverlayRoute, Site: key, Match: "POST /new", Value: map[string]any{"function": "new-function", "filters": []any{"new-filter"}}},
		)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, problems := ParseTexts(out, world)
		if f == nil {
			t.Errorf("%s: %v\n%s", name, problems, out[0].Bytes)
			continue
		}
		routes := f.Sites[0].Routes
		found := false
		for i := range routes {
			r := &routes[i]
			found = found || r.Match.Path == "/new" && r.To.Function == "new-function" && r.Filters[len(r.Filters)-1].Name == "new-filter"
		}
		if !found || len(routes) != len(was.Sites[0].Routes)+1 || f.Filter("new-filter") == nil || f.Function("new-function") == nil {
			t.Errorf("%s: the route has not come: %s", name, out[0].Bytes)
		}
	}
}

// TestFoldMany wants a large file to be read twice however many overlays there are:
// reading it for each would take minutes.
func TestFoldMany(t *testing.T) {
	var b strings.Builder
	b.WriteString("sites:\n  a:\n    routes:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "      /r%d: b%d:1 # route %d\n", i, i, i)
	}
	var overlays []Overlay
	for i := range 500 {
		o := routeOf(fmt.Sprintf("/r%d", 4*i))
		o.Value = map[string]any{"to": fmt.Sprintf("b%d:1", 4*i), "filters": []any{"f"}}
		overlays = append(overlays, o)
	}
	out, err := Fold([]Text{{"f.yaml", []byte(b.String())}}, overlays...)
	if err != nil {
		t.Fatal(err)
	}
	want := b.String()
	for i := range 500 {
		want = strings.Replace(want, fmt.Sprintf("/r%d: b%d:1 #", 4*i, 4*i), fmt.Sprintf("/r%d: { to: b%d:1, filters: [f] } #", 4*i, 4*i), 1)
	}
	if got := string(out[0].Bytes); got != want {
		t.Errorf("got\n%s", DiffText("f.yaml", []byte(want), out[0].Bytes, 0))
	}
}
