package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/diag"
)

// decoder makes a File of nodes.
type decoder struct {
	options  Options
	problems *diag.List
	grammar  *grammar
	dirs     map[string]string // what relative paths are relative to, by file
	values   map[string]string // what file: has given, by path

	// What is checked when all of the file is known.
	upstreamUses []use
	filterUses   []use
	functionUses []use
	implied      []Upstream
	impliedAt    map[string]string // addresses of implied, by name
}

// use is a name that something refers to.
type use struct {
	at   value
	name string
}

// value is a node with its path.
type value struct {
	*node
	path string
}

// child returns the value of a key of v.
func (v value) child(name string, n *node) value {
	if v.path == "" {
		return value{n, name}
	}
	return value{n, v.path + "." + name}
}

// list returns the items of v: those of a list, or v itself.
func (v value) list() []value {
	if v.kind != list {
		return []value{v}
	}
	out := make([]value, 0, len(v.items))
	for i, n := range v.items {
		out = append(out, value{n, v.path + "[" + strconv.Itoa(i) + "]"})
	}
	return out
}

// few is list for what nobody needs many of, and what is compared with each
// other: it reports and cuts off what is more.
func (d *decoder) few(v value) []value {
	items := v.list()
	if len(items) > maxFew {
		d.errorf(items[maxFew], "there are %d here, more than %d", len(items), maxFew)
		items = items[:maxFew]
	}
	return items
}

// maxFew is how many items a short list has at most: filters of a route,
// addresses to listen on, methods and conditions of a match.
const maxFew = 100

func (d *decoder) place(v value) diag.Place {
	return diag.Place{File: v.file, Line: v.line, Column: v.col, Path: v.path}
}

func (d *decoder) errorf(v value, format string, args ...any) *diag.Problem {
	return d.problems.Errorf(d.place(v), format, args...)
}

// each calls f with the keys of the map v and their values, in the order of the
// file. It reports keys that are not text or come twice.
func (d *decoder) each(v value, f func(name string, k, child value)) {
	first := make(map[string]*node, len(v.entries))
	for _, e := range v.entries {
		if e.key.kind != scalar {
			d.errorf(value{e.key, v.path}, "a key is needed, and this is %s", e.key.kind)
			continue
		}
		name := e.key.text
		k := v.child(shorten(name), e.key)
		if other, ok := first[name]; ok {
			d.twice(k, name, other)
			continue
		}
		first[name] = e.key
		f(name, k, v.child(name, e.value))
	}
}

// twice reports that a name stands at k and, before that, at first.
func (d *decoder) twice(k value, name string, first *node) {
	if k.file == first.file {
		d.errorf(k, "%q stands here twice, first in line %d", shorten(name), first.line)
		return
	}
	d.errorf(k, "%q stands in %s:%d already", shorten(name), first.file, first.line).Hint = "a name can be in one file only"
}

// where says where other is to somebody who is at a place.
func where(other, at diag.Place) string {
	if other.File == at.File {
		return "line " + strconv.Itoa(other.Line)
	}
	return fmt.Sprintf("%s:%d", other.File, other.Line)
}

// reference reports whether the value stands elsewhere: in the environment or a
// file. Messages then name that place, for the value may be a secret.
func (d *decoder) reference(v value) bool {
	return v.kind == scalar && (strings.HasPrefix(v.text, "env:") || strings.HasPrefix(v.text, "file:"))
}

// from returns what the file has instead of a value that stands elsewhere, and "" for
// one that stands in the file.
func (d *decoder) from(v value) string {
	if !d.reference(v) {
		return ""
	}
	return v.text
}

// fromPath is from for a path or an address, s, into which the environment is put.
func (d *decoder) fromPath(v value, s string) string {
	if strings.Contains(s, "$") && !d.reference(v) {
		return s
	}
	return d.from(v)
}

// text returns the text of a scalar: what stands there, or where env:NAME or
// file:/path lead. Anything else is reported as not being what.
func (d *decoder) text(v value, what string) (string, bool) {
	if v.kind != scalar {
		d.wants(v, what)
		return "", false
	}
	if !d.reference(v) {
		return v.text, true
	}
	if name, ok := strings.CutPrefix(v.text, "env:"); ok {
		s, ok := d.options.Env(name)
		if !ok {
			d.errorf(v, "the environment has no %q", shorten(name))
		}
		return s, ok
	}
	path, ok := d.resolve(v, strings.TrimPrefix(v.text, "file:"))
	if !ok {
		return "", false
	}
	if s, ok := d.values[path]; ok {
		return s, true
	}
	b, err := d.options.ReadFile(path)
	if err != nil {
		d.errorf(v, "cannot read %q: %v", shorten(path), cause(err))
		return "", false
	}
	if d.values == nil {
		d.values = make(map[string]string)
	}
	d.values[path] = strings.TrimRight(string(b), "\r\n")
	return d.values[path], true
}

// path returns the absolute path that v names; a relative one starts at the
// directory of the file.
func (d *decoder) path(v value) (string, bool) {
	s, ok := d.text(v, "a path")
	if !ok {
		return "", false
	}
	return d.resolve(v, s)
}

// resolve puts the environment into a path and makes it absolute.
func (d *decoder) resolve(v value, path string) (string, bool) {
	path, err := expand(path, d.options.Env)
	switch {
	case err != nil:
		d.errorf(v, "in %s: %v", d.quote(v), err)
		return "", false
	case path == "":
		d.errorf(v, "a path is needed, and this is empty")
		return "", false
	case strings.IndexByte(path, 0) >= 0:
		d.errorf(v, "a path cannot hold NUL")
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dirs[v.file], path)
	}
	return filepath.Clean(path), true
}

// expand replaces $NAME and ${NAME} by the environment.
func expand(path string, env func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(path, "$")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		var name string
		if braced, ok := strings.CutPrefix(rest, "{"); ok {
			if name, path, ok = strings.Cut(braced, "}"); !ok {
				return "", fmt.Errorf("${ without }")
			}
		} else {
			end := strings.IndexFunc(rest, func(c rune) bool { return !isNameRune(c) })
			if end < 0 {
				end = len(rest)
			}
			name, path = rest[:end], rest[end:]
		}
		if name == "" {
			return "", fmt.Errorf("$ without a name")
		}
		s, ok := env(name)
		if !ok {
			return "", fmt.Errorf("the environment has no %q", shorten(name))
		}
		b.WriteString(s)
	}
}

func isNameRune(c rune) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// word reads one of several words.
func word[W any](d *decoder, v value, to *W, words []string, values []W) {
	what := enumerate(words, "or")
	s, ok := d.text(v, what)
	if !ok {
		return
	}
	for i, w := range words {
		if w == s {
			*to = values[i]
			return
		}
	}
	d.wants(v, what).Hint = diag.DidYouMean(s, words)
}

// isSwitch reports whether s is a spelling of on or off.
func isSwitch(s string) (on, ok bool) {
	switch s {
	case "on", "yes", "true":
		return true, true
	case "off", "no", "false":
		return false, true
	}
	return false, false
}

// duration reads a duration between least and most.
func (d *decoder) duration(v value, to *time.Duration, least, most time.Duration) {
	s, ok := d.text(v, "a duration like 10s")
	if !ok {
		return
	}
	x, err := parseDuration(s)
	switch {
	case err != nil:
		d.errorf(v, "%s is no duration: %v", d.quote(v), d.hide(v, err))
	case x < least:
		d.errorf(v, "%s is too short; at least %s", d.quote(v), formatDuration(least))
	case x > most:
		d.errorf(v, "%s is too long; at most %s", d.quote(v), formatDuration(most))
	default:
		*to = x
	}
}

// size reads a size between least and most.
func (d *decoder) size(v value, to *int64, least, most int64) {
	s, ok := d.text(v, "a size like 64KB")
	if !ok {
		return
	}
	x, err := parseSize(s)
	switch {
	case err != nil:
		d.errorf(v, "%s is no size: %v", d.quote(v), d.hide(v, err))
	case x < least:
		d.errorf(v, "%s is too small; at least %s", d.quote(v), FormatSize(least))
	case x > most:
		d.errorf(v, "%s is too large; at most %s", d.quote(v), FormatSize(most))
	default:
		*to = x
	}
}

// number reads a whole number between least and most.
func (d *decoder) number(v value, to *int, least, most int) {
	s, ok := d.text(v, "a whole number")
	if !ok {
		return
	}
	x, err := strconv.Atoi(s)
	if err != nil || x < least || x > most {
		d.wants(v, fmt.Sprintf("a whole number from %d to %d", least, most))
		return
	}
	*to = x
}

// hide returns an error that may quote a value, without the quote if the value
// stands elsewhere.
func (d *decoder) hide(v value, err error) error {
	if d.reference(v) {
		return fmt.Errorf("not of the right form")
	}
	return err
}

// formatDuration writes a duration as the file does.
func formatDuration(x time.Duration) string {
	for i := len(durations) - 1; i > 0; i-- {
		if u := time.Duration(durations[i].worth); x >= u && x%u == 0 {
			return strconv.FormatInt(int64(x/u), 10) + durations[i].name
		}
	}
	return strconv.FormatInt(x.Milliseconds(), 10) + "ms"
}

// json writes v as JSON: what a guest gets as its configuration.
func (d *decoder) json(v value, b *bytes.Buffer) {
	switch v.kind {
	case null:
		b.WriteString("null")
	case scalar:
		if v.json != "" {
			b.WriteString(v.json)
			return
		}
		s, _ := d.text(v, "a value")
		quoteJSON(b, s)
	case list:
		b.WriteByte('[')
		for i, item := range v.list() {
			if i > 0 {
				b.WriteByte(',')
			}
			d.json(item, b)
		}
		b.WriteByte(']')
	case mapping:
		b.WriteByte('{')
		first := true
		d.each(v, func(name string, _, child value) {
			if !first {
				b.WriteByte(',')
			}
			first = false
			quoteJSON(b, name)
			b.WriteByte(':')
			d.json(child, b)
		})
		b.WriteByte('}')
	}
}

// quoteJSON writes a string without the escapes that are for HTML.
func quoteJSON(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into a Buffer does not fail
	b.Truncate(b.Len() - 1)
}
