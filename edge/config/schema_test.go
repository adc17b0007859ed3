package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sluice.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, src []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	b, err := yaml.MarshalWithOptions(v, yaml.JSON())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchema wants the schema to accept every good file, and to refuse the bad
// ones that a schema can see.
func TestSchema(t *testing.T) {
	s := compileSchema(t)
	good, err := filepath.Glob("testdata/ok-*.yaml")
	if err != nil || len(good) < 8 {
		t.Fatal(good, err)
	}
	for _, name := range good {
		if filepath.Base(name) == "ok-flow.yaml" {
			continue // goccy's own reader takes its addresses for maps: see joinColons
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"unknown-key", "unknown-key-route", "unknown-key-deep", "kinds", "no-sites", "timeout", "body", "retry",
		"split", "limits", "log", "compress", "respond", "tls", "when", "cache", "version",
	} {
		src, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, src); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSchemaForms puts each form of a value into an otherwise good file, and
// wants schema and decoder to agree on it.
func TestSchemaForms(t *testing.T) {
	s := compileSchema(t)
	route := "sites: { example.com: { routes: { /: { to: \"127.0.0.1:1\", %s } } } }"
	site := "sites: { example.com: { to: \"127.0.0.1:1\", %s } }"
	file := "sites: { example.com: \"127.0.0.1:1\" }\n%s"
	bare := "sites: { example.com: { routes: { /: { %s } } } }\nfunctions: { hello: { wasm: uploaded } }\nfilters: { auth: { wasm: uploaded } }"
	log := "sites: { example.com: \"127.0.0.1:1\" }\nlog: { access: %s }"
	for _, c := range []struct {
		in, value string
		want      bool
	}{
		{route, "cache: on", true},
		{route, "cache: true", true},
		{route, "cache: 1.5h", true},
		{route, "cache: { ttl: 10m }", true},
		{route, "cache: often", false},
		{route, "cache: { ttl: 10m, stale: 1h }", false},
		{route, "timeout: { connect: 1s }", true},
		{route, "timeout: 1", false},
		{route, "timeout: env:SLOW", true},
		{route, "compress: { prefer: br }", true},
		{route, "compress: { prefer: [br, gzip], level: auto, types: text/html }", true},
		{route, "compress: { level: 10 }", false},
		{route, "retry: 2 times", true},
		{route, "retry: off", true},
		{route, "retry: { times: 2, on: connect }", true},
		{route, "retry: 2 times on 502", false},
		{route, "body: unlimited", true},
		{route, "body: 3", false},
		{route, "when: { header: { X: 1 } }", true},
		{route, "when: { country: NO }", false},
		{route, "name: a b", false},
		{site, "aliases: www.example.com", true},
		{site, "routes: { /x: 127.0.0.1:1, /y: ~, /z: [\"a:1\", { when: { query: { v: 1 } }, to: \"b:2\" }] }", true},
		{site, "routes: { /x: { when: { query: { v: 2 } }, redirect: /y }, /z: { respond: 404 } }", true},
		{site, "routes: { /x: { redirect: { to: /y, status: 300 } } }", false},
		{site, "tls: {}", false},
		{file, "admin: off", true},
		{file, "admin: { listen: \":1\" }\nlog: { access: off }", false},
		{file, "admin: { listen: 127.0.0.1:1 }", true},
		{file, "email: a@example.com", false},
		{file, "tls: { min: 1.3 }", true},
		{file, "tls: { certificates: { cert: a } }", false},
		{file, "upstreams: { a: \"a:1\", b: [\"a:1\", { address: \"b:2\", backup: yes }], c: { endpoints: \"a:1 weight 2 backup\", balance: least-requests } }", false},
		{file, "upstreams: { a: \"a:1 weight 2\", b: [\"a:1\", { address: \"b:2\", backup: yes }], c: { endpoints: \"a:1\", balance: least-requests } }", true},
		{file, "upstreams: { a: { balance: least-requests } }", false},
		{file, "filters: { a: { wasm: a.wasm, config: [1, { b: ~ }] } }", true},
		{file, "filters: { a: { wasm: a.wasm, abi: x } }", false},
		{file, "filters: { a: { wasm: a.wasm, abi: proxy-wasm, root: r, isolation: shared } }", true},
		{file, "filters: { a: { wasm: a.wasm, isolation: none } }", false},
		{file, "version: 1", true},
		{file, "include: []", true},
		{file, "include: { a: b }", false},
		{file, "functions: { a: { wasm: a.wasm, env: { A: 1, B: yes }, args: [a, 1], memory: 1GB, timeout: 1s, concurrency: 7 } }", true},
		{file, "functions: { a: { wasm: uploaded, args: x } }", true},
		{file, "functions: { a: { env: { A: b } } }", false},
		{file, "functions: { a: a.wasm }", false},
		{file, "functions: { a: { wasm: a, concurrency: 0 } }", false},
		{file, "functions: { a: { wasm: a, every: 5m } }", true},
		{file, "functions: { a: { wasm: a, every: 5 } }", false},
		{file, "trust: 10.0.0.0/8", true},
		{file, "trust: [127.0.0.1, \"::1\", \"2001:db8::/32\", \"::ffff:10.0.0.0/104\"]", true},
		{file, "trust: [example.com]", false},
		{file, "metrics: 127.0.0.1:2025", true},
		{file, "metrics: { listen: \"127.0.0.1:2025\" }", true},
		{file, "metrics: {}", false},
		{log, "{ file: a.log }", true},
		{log, "{ format: combined }", true},
		{log, "{ file: a.log, format: common, rotate: 1MB or 1h, keep: 3, compress: no }", true},
		{log, "{ file: a.log, rotate: { size: 1MB, age: 1d }, keep: 0 }", true},
		{log, "{ file: a.log, rotate: off }", true},
		{log, "{ file: a.log, rotate: daily at noon }", false},
		{log, "{ file: a.log, keep: all }", false},
		{log, "a.log", false},
		{bare, "function: hello", true},
		{bare, "function: hello@3, filters: [auth@1, auth@2]", true},
		{bare, "to: \"function:hello@3\"", true},
		{bare, "function: hello@0", false},
		{bare, "function: \"a b\"", false},
		{bare, "function: hello, filters: auth@x", false},
		{bare, "split: { \"function:hello\": 100% }, by: filter, filters: auth", true},
		{bare, "split: { \"function:hello\": 100% }, by: { kind: filter }", true},
		{bare, "redirect: { map: a.txt }", true},
		{bare, "redirect: { map: a.txt, status: 301 }", true},
		{bare, "redirect: { map: a.txt, to: /x }", false},
		{bare, "redirect: { status: 301 }", false},
		{route, "strip: /api", true},
		{route, "strip: api", false},
		{route, "strip: /api/", false},
		{route, "add-prefix: /v2", true},
		{route, "rewrite: \"/x{path}?{query}\"", true},
		{route, "host: upstream, rewrite-answers: no, log: off", true},
		{route, "host: [a]", false},
		{route, "rewrite-answers: often", false},
		{route, "log: stdout", false},
		{route, "fields: { request: { set: { X-A: 1 }, add: { X-B: [a, b] }, remove: X-C }, response: { remove: [Server] } }", true},
		{route, "fields: { request: { set: { X-A: [a] } } }", false},
		{route, "fields: { response: { remove: [\"a b\"] } }", false},
		{route, "fields: { set: { X-A: 1 } }", false},
		{site, "strip: /api, fields: { response: { set: { X-A: 1 } } }, log: no", true},
		{file, "version: 2", false},
	} {
		src := fmt.Sprintf(c.in, c.value)
		o := world
		o.Env = func(string) (string, bool) { return "5s", true }
		f, problems := Parse("sluice.yaml", []byte(src), o)
		if (f != nil) != c.want {
			t.Errorf("%s: decoder says %v, want %v\n%v", c.value, f != nil, c.want, problems)
		}
		err := validate(t, s, []byte(src))
		// Beyond a schema: which address needs a token, and that not all endpoints
		// are backups.
		if strings.Contains(c.value, `":1"`) || strings.Contains(c.value, "weight 2 backup") {
			continue
		}
		if (err == nil) != c.want {
			t.Errorf("%s: schema says %v, want %v", c.value, err, c.want)
		}
	}
}

// TestReference wants every key to be described, once where it belongs.
func TestReference(t *testing.T) {
	text := Reference()
	var walk func(s *section, seen map[string]bool)
	walk = func(s *section, seen map[string]bool) {
		if seen[s.name] {
			return
		}
		seen[s.name] = true
		if n := strings.Count(text, "\n## "+s.name+"\n"); n != 1 {
			t.Errorf("section %q comes %d times", s.name, n)
		}
		for _, k := range s.keys {
			if k.doc == "" || k.form.words == "" || !strings.HasSuffix(k.doc, ".") {
				t.Errorf("%s.%s is not described: %q, %q", s.name, k.name, k.doc, k.form.words)
			}
			if !strings.Contains(text, "| `"+k.name+"` | ") {
				t.Errorf("no line for %s.%s", s.name, k.name)
			}
			for _, m := range k.form.maps {
				walk(m, seen)
			}
		}
	}
	seen := map[string]bool{}
	walk(newGrammar().file.section(), seen)
	if len(seen) < 18 {
		t.Errorf("%d sections, want 18 at least: %v", len(seen), seen)
	}
}

// TestExample wants the example of the reference to be a good file, for the
// schema too.
func TestExample(t *testing.T) {
	f := parse(t, example)
	if len(f.Sites) != 2 || len(f.Upstreams) != 3 || len(f.Filters) != 2 || len(f.Functions) != 1 {
		t.Errorf("got %+v", f)
	}
	if err := validate(t, compileSchema(t), []byte(example)); err != nil {
		t.Error(err)
	}
}

// TestReferenceDefaults writes out each default that the reference tells, and
// wants nothing to change by that.
func TestReferenceDefaults(t *testing.T) {
	plain := map[string]string{}
	for _, name := range []string{"the file", "tls", "internal", "compress", "cache", "limits", "log", "admin"} {
		plain[name] = "sites: { x: { respond: 200 } }\n%s"
	}
	for name, in := range map[string]string{"tls": "tls", "compress": "compress", "cache": "cache", "limits": "limits", "log": "log", "admin": "admin"} {
		plain[name] = strings.Replace(plain[name], "%s", in+": { %s }", 1)
	}
	plain["internal"] = "sites: { x: { respond: 200 } }\ntls: { internal: { %s } }"
	plain["site"] = "sites: { x: { split: { 'a:1': 100%% }, %s } }"
	plain["route"] = "sites: { x: { routes: { /: { split: { 'a:1': 100%% }, %s } } } }"
	plain["timeout"] = "sites: { x: { respond: 200, timeout: { %s } } }"
	plain["retry"] = "sites: { x: { respond: 200, retry: { %s } } }"
	plain["redirect"] = "sites: { x: { redirect: { to: /, %s } } }"
	plain["respond"] = "sites: { x: { respond: { %s } } }"
	plain["upstream"] = "sites: { x: a }\nupstreams: { a: { endpoints: 'a:1', %s } }"
	plain["connections"] = "sites: { x: a }\nupstreams: { a: { endpoints: 'a:1', connections: { %s } } }"
	plain["endpoint"] = "sites: { x: a }\nupstreams: { a: [{ address: 'a:1', %s }] }"
	plain["function"] = "sites: { x: function:f }\nfunctions: { f: { wasm: f.wasm, %s } }"
	plain["access log"] = "sites: { x: { respond: 200 } }\nlog: { access: { file: a.log, %s } }"
	plain["filter"] = "sites: { x: { respond: 200, filters: f } }\nfilters: { f: { wasm: f.wasm, %s } }"

	plain["allow"] = "sites: { x: { respond: 200, filters: f } }\nfilters: { f: { wasm: f.wasm, allow: { %s } } }"

	// What stands there is a description, not a value.
	described := map[string]bool{
		"listen": true, "state": true, "name": true, "types": true, "ca": true, "client-stalled": true,
	}
	checked := 0
	queue := []*section{newGrammar().file.section()}
	seen := map[string]bool{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if seen[s.name] {
			continue
		}
		seen[s.name] = true
		for _, k := range s.keys {
			queue = append(queue, k.form.maps...)
			if k.def == "" || described[k.name] && s.name != "admin" {
				continue
			}
			in, ok := plain[s.name]
			if !ok {
				t.Errorf("no file to try the default of %s.%s in", s.name, k.name)
				continue
			}
			if s.name == "access log" && k.name == "file" {
				in = strings.Replace(in, "file: a.log, ", "", 1)
			}
			with := parse(t, fmt.Sprintf(in, k.name+": "+k.def))
			without := parse(t, strings.Replace(fmt.Sprintf(in, ""), ", }", " }", 1))
			if got, want := dump(t, with), dump(t, without); got != want {
				t.Errorf("%s.%s: %s is told to be the default; got %s, want %s", s.name, k.name, k.def, got, want)
			}
			checked++
		}
	}
	if checked < 35 {
		t.Errorf("%d defaults checked, want 35 at least", checked)
	}
}
