package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What a structured field may have: more than signatures need, less than would take
// time.
const (
	maxField   = 4096 // bytes
	maxMembers = 8    // of a dictionary
	maxItems   = 32   // of an inner list, and parameters of an item
)

// member is a member of a dictionary (RFC 9651, section 3.2): bytes, or an inner list
// of strings with parameters.
type member struct {
	name   string
	bytes  []byte
	isList bool
	items  []string
	params []param
}

// param is a parameter; its value is a string, an int64, a token, []byte or a bool.
type param struct {
	name  string
	value any
}

type token string

// parser reads a structured field.
type parser struct{ rest string }

// parseDictionary reads a dictionary of which each member is bytes or an inner list
// of strings, as Signature, Signature-Input and Content-Digest are. It is stricter
// than section 4.2.2 of RFC 9651 in that no name may come twice: two who read a
// message must not see two signatures.
func parseDictionary(text string) ([]member, error) {
	if len(text) > maxField {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(text), maxField)
	}
	p := &parser{strings.Trim(text, " ")}
	var list []member
	for {
		m, err := p.member()
		if err != nil {
			return nil, err
		}
		for _, other := range list {
			if other.name == m.name {
				return nil, fmt.Errorf("%q is there twice", m.name)
			}
		}
		if list = append(list, m); len(list) > maxMembers {
			return nil, fmt.Errorf("it has more than %d members", maxMembers)
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
		if p.rest == "" {
			return list, nil
		}
		if !p.skip(",") {
			return nil, fmt.Errorf("want a comma before %.20q", p.rest)
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
	}
}

func (p *parser) skip(start string) bool {
	rest, ok := strings.CutPrefix(p.rest, start)
	p.rest = rest
	return ok
}

// take takes what is made of characters that ok accepts.
func (p *parser) take(ok func(c byte) bool) string {
	n := 0
	for n < len(p.rest) && ok(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// key reads the name of a member or parameter (RFC 9651, section 4.2.3.3).
func (p *parser) key() (string, error) {
	if p.rest == "" || !isLower(p.rest[0]) && p.rest[0] != '*' {
		return "", fmt.Errorf("want a name, not %.20q", p.rest)
	}
	return p.take(func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 }), nil
}

func (p *parser) member() (m member, err error) {
	if m.name, err = p.key(); err != nil {
		return m, err
	}
	if !p.skip("=") {
		return m, fmt.Errorf("%q has no value", m.name)
	}
	switch {
	case strings.HasPrefix(p.rest, "("):
		m.isList = true
		m.items, err = p.innerList()
	case strings.HasPrefix(p.rest, ":"):
		m.bytes, err = p.binary()
	default:
		err = errors.New("want a list or bytes")
	}
	if err == nil {
		m.params, err = p.params()
	}
	if err != nil {
		return m, fmt.Errorf("%q: %w", m.name, err)
	}
	return m, nil
}

// innerList reads an inner list of strings without parameters (RFC 9651, section
// 4.2.1.2).
func (p *parser) innerList() ([]string, error) {
	p.skip("(")
	var list []string
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.skip(")") {
			return list, nil
		}
		s, err := p.text()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(p.rest, ";") {
			return nil, fmt.Errorf("the component %q has parameters, which is not supported", s)
		}
		if p.rest == "" || p.rest[0] != ' ' && p.rest[0] != ')' {
			return nil, fmt.Errorf("want a space or ) before %.20q", p.rest)
		}
		if list = append(list, s); len(list) > maxItems {
			return nil, fmt.Errorf("the list has more than %d items", maxItems)
		}
	}
}

// params reads parameters (RFC 9651, section 4.2.3.2), none of which may come twice.
func (p *parser) params() ([]param, error) {
	var list []param
	for p.skip(";") {
		p.rest = strings.TrimLeft(p.rest, " ")
		name, err := p.key()
		if err != nil {
			return nil, err
		}
		value := any(true)
		if p.skip("=") {
			if value, err = p.bare(); err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
		}
		for _, other := range list {
			if other.name == name {
				return nil, fmt.Errorf("%q is there twice", name)
			}
		}
		if list = append(list, param{name, value}); len(list) > maxItems {
			return nil, fmt.Errorf("there are more than %d parameters", maxItems)
		}
	}
	return list, nil
}

// bare reads an item (RFC 9651, section 4.2.3.1) that is no decimal, date or display
// string, which no parameter of a signature is.
func (p *parser) bare() (any, error) {
	if p.rest == "" {
		return nil, errors.New("want a value")
	}
	switch c := p.rest[0]; {
	case c == '"':
		return p.text()
	case c == ':':
		return p.binary()
	case p.skip("?1"):
		return true, nil
	case p.skip("?0"):
		return false, nil
	case c == '-' || isDigit(c):
		number := p.take(func(c byte) bool { return isDigit(c) || c == '-' })
		if len(strings.TrimPrefix(number, "-")) > 15 || strings.HasPrefix(p.rest, ".") {
			return nil, fmt.Errorf("%.20q is no integer", number+p.rest)
		}
		return strconv.ParseInt(number, 10, 64)
	case isLower(c|0x20) || c == '*':
		return token(p.take(func(c byte) bool {
			return isLower(c|0x20) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
		})), nil
	}
	return nil, fmt.Errorf("%.20q is no value", p.rest)
}

// text reads a string (RFC 9651, section 4.2.5).
func (p *parser) text() (string, error) {
	if !p.skip(`"`) {
		return "", fmt.Errorf("want a string, not %.20q", p.rest)
	}
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case c == '\\':
			if i++; i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return "", errors.New(`a string has a \ before what needs none`)
			}
			c = p.rest[i]
		case c < 0x20 || c >= 0x7f:
			return "", fmt.Errorf("a string has the byte %#x", c)
		}
		b.WriteByte(c)
	}
	return "", errors.New("a string has no end")
}

// binary reads a byte sequence (RFC 9651, section 4.2.7).
func (p *parser) binary() ([]byte, error) {
	text, rest, ok := strings.Cut(p.rest[1:], ":")
	if !ok {
		return nil, errors.New("bytes have no end")
	}
	p.rest = rest
	if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, errors.New("bytes have a line end")
	}
	return base64.StdEncoding.DecodeString(text)
}

// serialize returns an inner list with its parameters as it stands in the field, and
// in what is signed (RFC 9651, section 4.1.1.1).
func serialize(items []string, params []param) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, s := range items {
		if i > 0 {
			b.WriteByte(' ')
		}
		writeString(&b, s)
	}
	b.WriteByte(')')
	for _, p := range params {
		b.WriteString(";" + p.name)
		switch v := p.value.(type) {
		case string:
			b.WriteByte('=')
			writeString(&b, v)
		case int64:
			b.WriteString("=" + strconv.FormatInt(v, 10))
		case token:
			b.WriteString("=" + string(v))
		case []byte:
			b.WriteString("=:" + base64.StdEncoding.EncodeToString(v) + ":")
		case bool:
			if !v {
				b.WriteString("=?0")
			}
		}
	}
	return b.String()
}

func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}
