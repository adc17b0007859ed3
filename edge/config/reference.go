package config

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the file. It knows the keys
// and the forms of their values; what a name refers to, and what excludes what,
// is beyond it.
func Schema() []byte {
	s := newGrammar().file.section("sites").schema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "sluice.yaml"
	s["$defs"] = schema{"reference": schema{
		"type":        "string",
		"pattern":     "^(env|file):.+$",
		"description": "A value that stands elsewhere: env:NAME in the environment, file:/path in a file.",
	}}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("BUG: the schema is no JSON: " + err.Error())
	}
	return append(b, '\n')
}

// Reference returns a description of all keys in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	queue := []*section{newGrammar().file.section()}
	seen := map[string]bool{queue[0].name: true}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Key | Value | Default | |\n|---|---|---|---|\n", s.name, s.doc)
		for _, k := range s.keys {
			def := ""
			if k.def != "" {
				def = "`" + k.def + "`"
				if strings.Contains(k.def, " ") && !strings.HasPrefix(k.def, "[") {
					def = k.def
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, cell(k.form.words), cell(def), cell(k.doc))
			for _, m := range k.form.maps {
				if !seen[m.name] {
					seen[m.name] = true
					queue = append(queue, m)
				}
			}
		}
	}
	return b.String()
}

// example is a file that shows how things look; a test reads it.
const example = `sites:
  example.com:
    aliases: [www.example.com]
    filters: [security]
    cache: 10m
    routes:
      /: shop
      /api/*: { to: api, strip: /api, timeout: 10s, cache: off }
      POST /login: { to: api, filters: [throttle], body: 64KB }
      /old/*: { redirect: /new/$1 }
      /hello: function:hello
      /checkout/*:
        split: { shop: 95%, shop-v2: 5% }
        by: cookie sid
      /beta:
        - { when: { header: { X-Beta: "1" } }, to: shop-v2 }
        - shop
  api.example.com: api

upstreams:
  shop: [10.0.0.11:8080, 10.0.0.12:8080 weight 2, 10.0.9.1:8080 backup]
  shop-v2: 10.0.1.11:8080
  api: { endpoints: "unix:/run/api.sock", balance: least-requests }

filters:
  security: { wasm: filters/security.wasm, config: { csp: "default-src 'self'" } }
  throttle: { wasm: filters/throttle.wasm, memory: 16MB, timeout: 5ms, on-error: skip }

functions:
  hello: { wasm: functions/hello.wasm, env: { GREETING: hello }, timeout: 1s }

log: { access: { file: /var/log/sluice/access.log, rotate: 100MB or 24h } }
tls: { certificates: { cert: example.com.pem, key: example.com.key } }
limits: { stalled: 20s }
`

const referenceIntro = `# The configuration file

This page is generated from the code that reads the file.

The file is YAML: one document, UTF-8, of at most 16 MiB with all that it includes, without anchors, aliases, tags and merge keys. The shortest is

` + "```yaml\nsites: { example.com: 127.0.0.1:3000 }\n```" + `

and a longer one

` + "```yaml\n" + example + "```" + `

Unknown keys, names that nothing defines and routes of which neither is more specific are errors, and all of them are
told at once. Where a list stands, one value may stand alone. A value may stand elsewhere: ` + "`env:NAME`" + ` takes it from the
environment, ` + "`file:/path`" + ` from a file of at most 1 MiB, without the line ends behind it.
Since it may be a secret, routes, explain, differences and the history show what stands here instead.
A relative path starts at the directory of the file that it stands in.
`

// cell escapes what would end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// anchor returns the link target that Markdown makes of a heading.
func anchor(heading string) string { return strings.ReplaceAll(heading, " ", "-") }
