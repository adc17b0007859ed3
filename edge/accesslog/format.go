package accesslog

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/diag"
)

// Format is what a line looks like. The zero value is JSON.
type Format struct {
	parts []part // of a template; nil: JSON
}

// part is literal text and what comes behind it.
type part struct {
	before string
	name   name
	field  field // of nameRequestField and nameResponseField
}

// The formats of NCSA's httpd, as Apache writes them: "%h %l %u %t \"%r\" %>s %b",
// and with "\"%{Referer}i\" \"%{User-Agent}i\"" behind it. Nobody knows a user.
const (
	common   = `{client_ip} - - [{time.common}] "{request}" {status} {bytes.common}`
	combined = common + ` "{request.Referer}" "{request.User-Agent}"`
)

// maxTemplate is how many bytes a template has at most.
const maxTemplate = 4 << 10

// ParseFormat reads "json", "common", "combined", or a template: text with {name}
// in it, where the names are those of the keys of a JSON line, like {status} and
// {ms.total}, some more, and {request.FIELD} and {response.FIELD}. {{ and }} are
// braces.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "json":
		return Format{}, nil
	case "common":
		s = common
	case "combined":
		s = combined
	}
	switch {
	case len(s) > maxTemplate:
		return Format{}, fmt.Errorf("the template has %d bytes; at most %d", len(s), maxTemplate)
	case !strings.ContainsAny(s, "{}"):
		formats := []string{"json", "common", "combined"}
		return Format{}, fmt.Errorf("%q is neither json, common nor combined, and a template has {names} in it%s", shorten(s), hint(s, formats))
	}
	if err := checkText(s); err != nil {
		return Format{}, err
	}
	p := parser{all: s, rest: s}
	return p.parse()
}

// checkText refuses what would end the line, or steer a terminal.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("the template is not UTF-8")
	}
	for i, r := range s {
		if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("character %d of the template is %U, and a line has no control characters but tabs", utf8.RuneCountInString(s[:i])+1, r)
		}
	}
	return nil
}

type parser struct {
	all, rest string
	literal   strings.Builder
	parts     []part
}

func (p *parser) parse() (Format, error) {
	for {
		i := strings.IndexAny(p.rest, "{}")
		if i < 0 {
			p.literal.WriteString(p.rest)
			p.add(part{})
			break
		}
		brace := p.rest[i]
		p.literal.WriteString(p.rest[:i])
		p.rest = p.rest[i:]
		switch {
		case len(p.rest) > 1 && p.rest[1] == brace:
			p.literal.WriteByte(brace)
			p.rest = p.rest[2:]
		case brace == '}':
			return Format{}, fmt.Errorf("the } at character %d closes nothing; write }} for a brace", p.at())
		default:
			if err := p.name(); err != nil {
				return Format{}, err
			}
		}
	}
	if len(p.parts) == 1 {
		return Format{}, fmt.Errorf("the template %q has no {names} in it: all lines would be the same", shorten(p.all))
	}
	return Format{p.parts}, nil
}

// at returns where the rest begins, in characters from 1.
func (p *parser) at() int {
	return utf8.RuneCountInString(p.all[:len(p.all)-len(p.rest)]) + 1
}

func (p *parser) add(next part) {
	next.before = p.literal.String()
	p.literal.Reset()
	p.parts = append(p.parts, next)
}

// name reads {name}, at which the rest begins.
func (p *parser) name() error {
	text, behind, ok := strings.Cut(p.rest[1:], "}")
	if !ok || strings.Contains(text, "{") {
		return fmt.Errorf("the { at character %d is not closed; write {{ for a brace", p.at())
	}
	next, err := parseName(text)
	if err != nil {
		return fmt.Errorf("character %d of the template: %w", p.at(), err)
	}
	p.add(next)
	p.rest = behind
	return nil
}

func parseName(text string) (part, error) {
	next := part{name: nameRequestField}
	field, ok := strings.CutPrefix(text, requestPrefix)
	if !ok {
		next.name = nameResponseField
		field, ok = strings.CutPrefix(text, responsePrefix)
	}
	if ok {
		if !edge.IsToken(field) {
			return part{}, fmt.Errorf("{%s} names no field; write it like {request.user-agent}", shorten(text))
		}
		next.field.name = field
		return next, nil
	}
	for n := nameTS; int(n) < len(names); n++ {
		if names[n].text == text {
			return part{name: n}, nil
		}
	}
	return part{}, fmt.Errorf("there is no {%s}%s", shorten(text), nearest(text))
}

// nearest tells what a name that is none may have been meant to be.
func nearest(text string) string {
	all := texts()
	switch text {
	case "fields", "request.", "response.":
		return "; a field is written like {request.user-agent}"
	case "user_agent", "user-agent", "referer", "cookie", "authorization":
		return fmt.Sprintf("; a field is written {request.%s}", strings.ReplaceAll(text, "_", "-"))
	}
	var below []string
	for _, n := range all {
		if strings.HasPrefix(n, text+".") {
			below = append(below, n)
		}
	}
	if len(below) > 0 {
		return diag.Have(below)
	}
	return hint(text, append(all, requestPrefix+"user-agent", responsePrefix+"content-type"))
}

// hint returns "; did you mean ...?", or "".
func hint(text string, have []string) string {
	if s := diag.DidYouMean(text, have); s != "" {
		return "; " + s
	}
	return ""
}

// shorten keeps errors readable.
func shorten(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most]) + "..."
	}
	return s
}
