package config

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge/diag"
)

// readYAML returns what a text says as package encoding/json has it.
func readYAML(t *testing.T, b []byte) any {
	t.Helper()
	var problems diag.List
	n := readText(Text{"f.yaml", b}, &problems)
	if n == nil {
		t.Fatalf("%q: %v", b, problems.String())
	}
	return plain(n)
}

// hostile are texts that look like something else.
var hostile = append([]string{
	"", " ", "  ", "yes", "no", "on", "off", "true", "False", "TRUE", "null", "Null", "~", "y", "n", "=", "<<", "1", "-1", "+1", "1e3", "1E-3", "0x1F", "0o17", "017", "0b1", "1_000", "1.0", ".5", "5.", "1.", "-", "--", "---", "...", ".", "..", ".inf", "-.INF", ".nan", "NaN", "inf",
	"2026-01-02", "2026-01-02T03:04:05Z", "12:30", "12:30:45", "190:20:30", "1.2.3.4", "1.2.3.4:80", "[::1]:80", "::1", ":80", ":", "a:", ":a", "a: b", "a :b", "a:b", "a:b:c", "a::b", "a:*", "http://*:80", "http://a/b?c=d&e#f", "unix:/run/x", "file:/x", "env:X", "function:hello@3",
	"#", "#x", "a #b", "a# b", "a#b", "!", "!x", "&x", "*x", "*", "a*", "/api/*", "*.example.com", "?", "? x", "?x", "-x", "- x", "a - b", "|", ">", "|x", "%", "%x", "50%", "@", "@x", "`", "`x`", "{", "}", "{}", "[]", "[", "]", "{a}", "[a]", "/u/{id}", "/f/{p...}", "a,b", "a, b", ",", "GET,HEAD /x", "GET /x",
	"'", "''", "\"", "\"\"", "it's", "say \"x\"", "'a'", "\"a\"", "\\", "a\\b", "\\n", "\\x41", "\\u0041",
	" a", "a ", "\ta", "a\t", "a\tb", "\t", "\n", "a\n", "\na", "a\nb", "a\nb\n", "a\n\nb", "a\nb\n\n", "a \nb", " a\nb", "a\n b\n", "a\n\tb\n", "\n\n", "a\r\nb", "\r", "a\rb", "a: b\nc: d\n", "# a\n# b\n", "---\na\n", "a\n...\n", "- a\n- b\n", "a\n  \nb",
	"é", "日本語", "🙂", "🙂 #x", "a\u00a0b", "\u00a0", "\u0085", "a\u0085b", "\u2028", "a\u2029b", "\ufeff", "a\ufeffb", "\u200b", "\u202e", "\x00", "a\x00b", "\x01", "\x1b[31m", "\x7f", "\u0080", "\ufffd", "\uffff", "\U0010ffff",
	"10s", "30d", "32MB", "100/s", "1.5h", "2 times on connect", "10.0.0.1:80 weight 3", "$STATE/x", "${HOME}/x", "/old/$1", "default-src 'self'; x \"y\"", "{ts} {client_ip}", "</x>; rel=preload", "a=b&c=d", "a\x00\nb",
}, strings.Repeat("x", 5000), strings.Repeat("x y ", 2000), strings.Repeat("ab\n", 2000), strings.Repeat("\"", 300))

// TestYAML wants what is written to be read as the same, wherever it stands.
func TestYAML(t *testing.T) {
	for _, s := range hostile {
		for _, v := range []any{
			map[string]any{"k": s, "l": "x"},
			map[string]any{"k": []any{s, s, "x"}, "l": map[string]any{"m": s, "n": []any{map[string]any{"o": s}, []any{s}}}},
			map[string]any{"k": map[string]any{"l": map[string]any{"m": s}, "n": s}},
			map[string]any{"k": []any{map[string]any{"l": map[string]any{"m": s}, "n": s}, []any{[]any{map[string]any{"x": s}}, s}}},
			[]any{s, map[string]any{"k": s, "l": []any{s}}},
		} {
			if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) {
				t.Errorf("%q\n got %q\nwant %q", YAML(v), got, v)
			}
		}
		if len(s) > maxKey {
			continue
		}
		for _, v := range []any{
			map[string]any{s: "x", "l": map[string]any{s: "y", s + "2": []any{"z"}}},
			map[string]any{"l": map[string]any{s: map[string]any{s: map[string]any{s: s}}}},
			map[string]any{"l": []any{map[string]any{s: "x"}, map[string]any{s: map[string]any{"y": map[string]any{"z": nil}}}}},
		} {
			if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) {
				t.Errorf("%q\n got %q\nwant %q", YAML(v), got, v)
			}
		}
	}
}

// TestYAMLNumbers wants numbers to be read as the same.
func TestYAMLNumbers(t *testing.T) {
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1, 1.5, 0.1, 1e3, 1e20, 1e21, -1e21, 1e100, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1 << 62, 1 << 63, 1 << 64, -1 << 63, math.Pi} {
		v := map[string]any{"a": f, "b": []any{f}}
		if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) && !(f == 0 && reflect.DeepEqual(got, map[string]any{"a": 0.0, "b": []any{0.0}})) {
			t.Errorf("%s: got %v, want %v", YAML(v), got, v)
		}
	}
	for in, want := range map[json.Number]any{"1": 1.0, "1.0": 1.0, "1e3": 1000.0, "18446744073709551615": json.Number("18446744073709551615"), "9007199254740993": json.Number("9007199254740993"), "-9223372036854775808": -9223372036854775808.0} {
		if got := readYAML(t, YAML(map[string]any{"a": in})); !reflect.DeepEqual(got, map[string]any{"a": want}) {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

// TestYAMLStyle wants files to look as people write them.
func TestYAMLStyle(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`{}`, "{}\n"},
		{`[]`, "[]\n"},
		{`"x"`, "x\n"},
		{`null`, "null\n"},
		{`{"a":{}}`, "a: {}\n"},
		{`["a",1]`, "[a, 1]\n"},
		{`{"sites":{"example.com":"10.0.0.1:80","*.example.com":{"to":"shop","filters":["a"]}},"filters":{"a":{"wasm":"uploaded","memory":"32MB"}}}`,
			"filters:\n  a: { memory: 32MB, wasm: uploaded }\nsites:\n  \"*.example.com\": { filters: [a], to: shop }\n  example.com: 10.0.0.1:80\n"},
		{`{"sites":{"a":{"routes":{"/api/*":"api","GET,HEAD /u/{id}":{"respond":{"body":"one\ntwo\n"}},"/v":{"redirect":"/w?{query}"}}}}}`,
			"sites:\n  a:\n    routes:\n      /api/*: api\n      /v: { redirect: \"/w?{query}\" }\n      GET,HEAD /u/{id}:\n        respond:\n          body: |\n            one\n            two\n"},
		{`{"x":[{"a":{"b":1},"c":"d"},["e"],"on","1",1,"off",true,"true",null,"50%"]}`, "x:\n  - a: { b: 1 }\n    c: d\n  - [e]\n  - on\n  - \"1\"\n  - 1\n  - off\n  - true\n  - \"true\"\n  - null\n  - 50%\n"},
		{`{"x":{"long":"` + strings.Repeat("x", 50) + `","longer":"` + strings.Repeat("x", 50) + `"}}`, "x:\n  long: " + strings.Repeat("x", 50) + "\n  longer: " + strings.Repeat("x", 50) + "\n"},
		{`{"a":"a: b","b":" c","d":"# e","f":"g\u001bh","i":"j\nk"}`, "a: \"a: b\"\nb: \" c\"\nd: \"# e\"\nf: \"g\\x1bh\"\ni: |-\n  j\n  k\n"},
	} {
		if got := string(YAML(jsonValue(t, c.value))); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.value, got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("what no file can hold was written")
		}
	}()
	YAML(map[string]any{"a": func() {}})
}

// TestYAMLDeep wants the time to grow with the value, not with what it would be
// doubled at each level.
func TestYAMLDeep(t *testing.T) {
	var lists, maps any = "x", "x"
	for range maxDepth - 2 {
		lists, maps = []any{lists, "y"}, map[string]any{"k": []any{maps}}
	}
	v := map[string]any{"l": lists}
	if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) {
		t.Errorf("got %v", got)
	}
	if got := strings.Count(string(YAML(maps)), "k:"); got != maxDepth-2 {
		t.Errorf("got %d keys, want %d", got, maxDepth-2)
	}
	if _, err := foldOne("", Overlay{Name: "x", Value: maps}); err == nil || !strings.Contains(err.Error(), "nested more than") {
		t.Errorf("got %v", err)
	}
}

// randomValue returns any value.
func randomValue(r *rand.Rand, depth int) any {
	text := func() string {
		s := hostile[r.IntN(len(hostile))]
		if len(s) > 100 {
			s = s[:100]
		}
		return s
	}
	switch n := r.IntN(9); {
	case n < 2 && depth > 0:
		m := make(map[string]any)
		for range r.IntN(4) {
			m[text()] = randomValue(r, depth-1)
		}
		return m
	case n < 4 && depth > 0:
		l := []any{}
		for range r.IntN(4) {
			l = append(l, randomValue(r, depth-1))
		}
		return l
	case n == 4:
		return nil
	case n == 5:
		return r.IntN(2) == 0
	case n == 6:
		return float64(r.IntN(1000)) / 8
	}
	return text()
}

// TestYAMLRandom wants any value to be read as the same.
func TestYAMLRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		v := map[string]any{"x": randomValue(r, 4)}
		if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) {
			t.Fatalf("%q\n got %#v\nwant %#v", YAML(v), got, v)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		v := map[string]any{"x": []any{a, map[string]any{b: c, "k": []any{a, b}}}, "y": map[string]any{"z": map[string]any{a: b, "k": c}}}
		if !utf8.ValidString(a) || !utf8.ValidString(b) || !utf8.ValidString(c) || len(a) > maxKey || len(b) > maxKey {
			return
		}
		if got := readYAML(t, YAML(v)); !reflect.DeepEqual(got, v) {
			t.Fatalf("%q\n got %#v\nwant %#v", YAML(v), got, v)
		}
	})
}
