package redact

import (
	"bytes"
	"encoding/json"
	"mime"
	"strings"
)

// Content returns a content of a media type without secrets: a form, whole or in parts,
// and JSON, whatever it is called. Another is returned as it is. It may be cut off
// anywhere.
func (r *Redactor) Content(b []byte, contentType string) []byte {
	kind, _, _ := strings.Cut(contentType, ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); {
	case kind == "application/x-www-form-urlencoded":
		return []byte(r.Parameters(string(b)))
	case kind == "multipart/form-data":
		if _, parameters, _ := mime.ParseMediaType(contentType); parameters["boundary"] != "" {
			return r.parts(b, "--"+parameters["boundary"])
		}
	case strings.Contains(kind, "json") || bytes.IndexAny(b[blank(b):], "{[") == 0:
		return r.json(b)
	}
	return b
}

// parts takes secrets out of the parts of a form (RFC 7578, section 4.2).
func (r *Redactor) parts(b []byte, delimiter string) []byte {
	pieces := strings.Split(string(b), delimiter)
	for i, piece := range pieces {
		head, body, ok := strings.Cut(piece, "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			if !strings.EqualFold(name, "Content-Disposition") {
				continue
			}
			_, parameters, _ := mime.ParseMediaType(value)
			if ok && r.parameter(parameters["name"]) {
				pieces[i] = head + "\r\n\r\n" + Mark
				if strings.HasSuffix(body, "\r\n") {
					pieces[i] += "\r\n"
				}
			}
		}
	}
	return []byte(strings.Join(pieces, delimiter))
}

// json takes the values of secret members out of JSON texts (RFC 8259), one or several,
// and secrets out of the URLs that are values. What is no JSON is left as it is.
func (r *Redactor) json(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if b[0] != '"' {
			out, b = append(out, b[0]), b[1:]
			continue
		}
		text := b[:stringEnd(b)]
		b = b[len(text):]
		space := blank(b)
		var plain string
		known := json.Unmarshal(text, &plain) == nil
		switch {
		case len(b) > space && b[space] == ':':
			out = append(append(out, text...), b[:space+1]...)
			b = b[space+1:]
			space = blank(b)
			out, b = append(out, b[:space]...), b[space:]
			if known && r.parameter(plain) && len(b) > 0 {
				out, b = append(out, `"`+Mark+`"`...), b[valueEnd(b):]
			}
		case known:
			if told := r.URL(plain); told != plain {
				text = quoted(told)
			}
			out = append(out, text...)
		default:
			out = append(out, text...)
		}
	}
	return out
}

func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // of a string it cannot fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// blank returns how much white space is at the head of b.
func blank(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " \t\r\n")) }

// stringEnd returns how long the string is at the head of b.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd returns how long the value is at the head of b.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}
