package config

import (
	"fmt"
	"strings"
)

// The forms that values have. A scalar may also be a reference, env:NAME or
// file:/path, so every schema of a scalar allows that.

// reference is the schema of env:NAME and file:/path.
const reference = "#/$defs/reference"

// scalarForm is a text of some pattern.
func scalarForm(words, pattern string) form {
	return form{words: words, schema: schema{"anyOf": []schema{
		{"type": "string", "pattern": pattern},
		{"$ref": reference},
	}}}
}

// anyText is a text that only the decoder can judge.
func anyText(words string) form {
	return form{words: words, schema: schema{"type": "string", "minLength": 1}}
}

// numberForm is a whole number.
func numberForm(least, most int) form {
	return form{
		words: fmt.Sprintf("a whole number from %d to %d", least, most),
		schema: schema{"anyOf": []schema{
			{"type": "integer", "minimum": least, "maximum": most},
			{"$ref": reference},
		}},
	}
}

// wordForm is one of some words.
func wordForm(words ...string) form {
	quoted := make([]string, 0, len(words))
	for _, w := range words {
		quoted = append(quoted, "`"+w+"`")
	}
	return form{words: strings.Join(quoted, " or "), schema: schema{"anyOf": []schema{
		{"enum": words},
		{"$ref": reference},
	}}}
}

var (
	durationForm = scalarForm("a duration like `250ms`, `10s`, `5m`, `1h`, `30d`", `^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$`)
	sizeForm     = scalarForm("a size like `512B`, `64KB`, `32MB`, `1GB` (powers of 1024)", `^[0-9]+(\.[0-9]+)?(B|KB|MB|GB|TB)$`)
	percentForm  = scalarForm("a percentage like `5%`, `2.5%`", `^[0-9]+(\.[0-9]+)?%$`)
	pathForm     = anyText("a path; a relative one starts at the directory of the file, and `$NAME` is the environment")
	nameForm     = scalarForm("a name of letters, digits, `-`, `_` and `.`", namePattern)
	pinnedForm   = scalarForm("a name, with `@` and a version behind it or not", namePattern[:len(namePattern)-1]+"(@[1-9][0-9]{0,9})?$")
	functionForm = called("the name of a function, with `@` and a version behind it or not", pinnedForm)
	prefixForm   = scalarForm("a prefix like `/api`", "^/.*[^/]$")
	switchForm   = form{words: "`on` or `off`", schema: schema{"anyOf": []schema{
		{"enum": []any{"on", "off", "yes", "no", true, false}},
		{"$ref": reference},
	}}}
	nullForm    = form{words: "nothing", schema: schema{"type": "null"}}
	offForm     = form{words: "`off`", schema: schema{"enum": []any{"off", "no", false}}}
	textForm    = form{words: "a text", schema: schema{"type": []string{"string", "number", "boolean"}}}
	listenForm  = anyText("an address like `:80`, `127.0.0.1:8080`, `[::1]:443`")
	addressForm = anyText("an address: `host:port` or `unix:/path`")
	fieldForm   = scalarForm("the name of a field", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// listOf is a list, or one value alone.
func listOf(f form) form {
	return form{
		words:  f.words + "; or a list of them",
		schema: schema{"anyOf": []schema{f.schema, {"type": "array", "items": f.schema}}},
		maps:   f.maps,
	}
}

// mapForm is a map with keys of its own.
func mapForm(s *section) form {
	words := "a map"
	if s.name != "" {
		words = fmt.Sprintf("a map: [%s](#%s)", s.name, anchor(s.name))
	}
	return form{words: words, schema: s.schema(), maps: []*section{s}}
}

// freeForm is a map whose names are free and whose values are of one form.
func freeForm(names string, f form) form {
	return form{
		words:  "a map of " + names + " to " + f.words,
		schema: schema{"type": "object", "additionalProperties": f.schema},
		maps:   f.maps,
	}
}

// or is either of several forms.
func or(forms ...form) form {
	out := form{}
	var words []string
	var schemas []schema
	for _, f := range forms {
		words = append(words, f.words)
		schemas = append(schemas, f.schema)
		out.maps = append(out.maps, f.maps...)
	}
	out.words, out.schema = strings.Join(words, "; or "), schema{"anyOf": schemas}
	return out
}

// called is f in words of its own.
func called(words string, f form) form {
	f.words = words
	return f
}

// schema returns the JSON Schema of a map with these keys.
func (s *section) schema() schema {
	properties := make(map[string]any, len(s.keys))
	for _, k := range s.keys {
		p := schema{"description": k.doc}
		if k.def != "" {
			p["description"] = k.doc + " Default: " + k.def + "."
		}
		for name, v := range k.form.schema {
			p[name] = v
		}
		properties[k.name] = p
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(s.required) > 0 {
		out["required"] = s.required
	}
	var one []schema
	for _, name := range s.one {
		one = append(one, schema{"required": []string{name}})
	}
	if one != nil {
		out["oneOf"] = one
	}
	return out
}
