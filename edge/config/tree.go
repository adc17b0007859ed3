package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/sluice-edge/sluice/edge/diag"
)

// kind is what sort of YAML a node is.
type kind uint8

const (
	null kind = iota // nothing, or a plain null
	scalar
	list
	mapping
)

// String names the kind as messages do.
func (k kind) String() string {
	return [...]string{"nothing", "a value", "a list", "a map"}[k]
}

// node is a piece of the file. Nobody changes it.
type node struct {
	kind      kind
	file      string
	line, col int    // from 1
	text      string // of a scalar, without quotes
	json      string // of a scalar that YAML takes for a number or a boolean, as JSON writes it; else ""
	items     []*node
	entries   []entry
}

// entry is a key of a mapping with its value.
type entry struct{ key, value *node }

// readTree parses src, which must be one YAML document without anchors, aliases,
// tags and complex keys, and adds to what has been spent. It returns nil after
// adding a problem.
func readTree(name string, src []byte, problems *diag.List, spent *cost) (root *node) {
	r := &reader{name: name, problems: problems, spent: spent}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if !r.checkText(src) {
		return nil
	}
	defer func() {
		// The parser has panicked on hostile input before. Whatever it panics
		// with, the file is at fault and the process must live.
		if p := recover(); p != nil {
			root = nil
			problems.Errorf(r.place(1, 1), "the YAML cannot be read: %v", p)
		}
	}()
	tokens, ok := r.checkTokens(lexer.Tokenize(string(src)))
	if !ok {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return &node{kind: mapping, file: name, line: 1, col: 1}
	}
	return r.node(file.Docs[0].Body)
}

// reader turns YAML into nodes.
type reader struct {
	name     string
	problems *diag.List
	spent    *cost
}

func (r *reader) place(line, col int) diag.Place {
	return diag.Place{File: r.name, Line: max(line, 1), Column: max(col, 1)}
}

func (r *reader) at(t *token.Token) diag.Place {
	if t == nil || t.Position == nil {
		return r.place(1, 1)
	}
	return r.place(t.Position.Line, t.Position.Column)
}

// checkText refuses what is no text, or would cost too much to take apart.
func (r *reader) checkText(src []byte) bool {
	line, start, marks := 1, 0, 0
	for i := 0; i < len(src); {
		c, n := utf8.DecodeRune(src[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			r.problems.Errorf(r.place(line, utf8.RuneCount(src[start:i])+1), "byte 0x%02x is not UTF-8", src[i])
			return false
		case c < ' ' && c != '\n' && c != '\r' && c != '\t', c == 0x7f:
			r.problems.Errorf(r.place(line, utf8.RuneCount(src[start:i])+1), "control character 0x%02x", c)
			return false
		case c == '\r' && (i+1 == len(src) || src[i+1] != '\n'):
			r.problems.Errorf(r.place(line, utf8.RuneCount(src[start:i])+1), "a carriage return without a line feed")
			return false
		case c == '\n':
			line, start = line+1, i+1
			marks++
		case c < 0x80 && isIndicator[c]:
			marks++
		}
		i += n
	}
	if r.spent.marks += marks; r.spent.marks > maxTokens {
		r.problems.Errorf(r.place(1, 1), "%s %d line ends and punctuation marks of YAML, more than %d", r.spent.subject("has", "have"), r.spent.marks, maxTokens)
		return false
	}
	return true
}

// isIndicator holds the characters that can begin or end a token.
var isIndicator = func() (set [0x80]bool) {
	for _, c := range "-?:,[]{}#&*!|>'\"%@`" {
		set[c] = true
	}
	return set
}()

// syntax reports what the parser says.
func (r *reader) syntax(err error) {
	place, message := r.place(1, 1), err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		place, message = r.at(e.GetToken()), e.GetMessage()
	}
	p := r.problems.Errorf(place, "not YAML: %s", message)
	switch {
	case strings.ContainsRune(message, '\t'):
		p.Message, p.Hint = "not YAML: a tab cannot indent", "indent with spaces"
	case strings.Contains(message, "reserved character"):
		p.Hint = "put quotes around the value"
	case strings.Contains(message, "mapping value is not allowed"):
		p.Hint = "put quotes around a value that holds \": \", and a map on lines of its own"
	case strings.Contains(message, "value is not allowed in this context"),
		strings.Contains(message, "invalid key"):
		p.Hint = "look at the indentation, and put quotes around a value or key that holds { } [ ] or a comma"
	}
}

// node converts n. It reports what has no place in the file and goes on.
func (r *reader) node(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(n)
	case *ast.MappingValueNode:
		return r.mapping(&ast.MappingNode{Start: n.Start, Values: []*ast.MappingValueNode{n}})
	case *ast.SequenceNode:
		out := r.leaf(list, n.Start)
		out.items = make([]*node, 0, len(n.Values))
		for _, v := range n.Values {
			out.items = append(out.items, r.node(v))
		}
		return out
	case *ast.NullNode:
		out := r.leaf(null, n.Token)
		if n.Token.Type != token.ImplicitNullType {
			out.text = n.Token.Value
		}
		return out
	case *ast.LiteralNode:
		out := r.leaf(scalar, n.Start)
		if n.Value != nil {
			out.text = n.Value.Value
		}
		return out
	case *ast.StringNode:
		out := r.leaf(scalar, n.Token)
		out.text = n.Value
		return out
	case *ast.BoolNode:
		out := r.leaf(scalar, n.Token)
		out.text, out.json = n.Token.Value, fmt.Sprint(n.Value)
		return out
	case *ast.IntegerNode:
		out := r.leaf(scalar, n.Token)
		out.text, out.json = n.Token.Value, fmt.Sprint(n.Value)
		return out
	case *ast.FloatNode:
		out := r.leaf(scalar, n.Token)
		out.text, out.json = n.Token.Value, jsonNumber(n.Value)
		return out
	case *ast.InfinityNode:
		out := r.leaf(scalar, n.Token)
		out.text = n.Token.Value
		return out
	case *ast.NanNode:
		out := r.leaf(scalar, n.Token)
		out.text = n.Token.Value
		return out
	}
	// checkTokens has refused what makes other nodes.
	var t *token.Token
	if n != nil {
		t = n.GetToken()
	}
	r.problems.Errorf(r.at(t), "a construct of YAML that this file cannot hold")
	return r.leaf(null, t)
}

func (r *reader) leaf(k kind, t *token.Token) *node {
	p := r.at(t)
	return &node{kind: k, file: r.name, line: p.Line, col: p.Column}
}

func (r *reader) mapping(m *ast.MappingNode) *node {
	out := r.leaf(mapping, m.Start)
	out.entries = make([]entry, 0, len(m.Values))
	for _, v := range m.Values {
		key := r.node(v.Key)
		if key.kind == null && key.text != "" {
			key.kind = scalar // a key that is spelled null or ~
		}
		out.entries = append(out.entries, entry{key, r.node(v.Value)})
	}
	if !m.IsFlowStyle && len(out.entries) > 0 {
		out.line, out.col = out.entries[0].key.line, out.entries[0].key.col
	}
	return out
}

// checkTokens refuses what this file's language does not have, and what would
// cost the parser too much. It returns the tokens that the parser is to see.
func (r *reader) checkTokens(tokens token.Tokens) (token.Tokens, bool) {
	if t := tokens.InvalidToken(); t != nil {
		p := r.problems.Errorf(r.at(t), "not YAML: %s", t.Error)
		switch {
		case strings.ContainsRune(t.Error, '\t'):
			p.Message, p.Hint = "not YAML: a tab cannot indent", "indent with spaces"
		case strings.Contains(t.Error, "reserved character"):
			p.Hint = "put quotes around the value"
		}
		return nil, false
	}
	tokens = slices.DeleteFunc(slices.Clone(tokens), func(t *token.Token) bool { return t.Type == token.CommentType })
	refused := 0
	refuse := func(t *token.Token, hint, format string, args ...any) {
		refused++
		if refused <= diag.MaxShown {
			r.problems.Errorf(r.at(t), format, args...).Hint = hint
		}
	}
	for i, t := range tokens {
		name := ""
		if i+1 < len(tokens) {
			name = tokens[i+1].Value
		}
		switch t.Type {
		case token.AnchorType:
			refuse(t, "write it out; what a site says holds for all its routes", "anchor %q: this file has no anchors", "&"+name)
		case token.AliasType:
			hint := "write it out; what a site says holds for all its routes"
			if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, " /") {
				hint = fmt.Sprintf("a value or key that begins with * needs quotes: %q", "*"+strings.TrimSuffix(name, ":"))
			}
			refuse(t, hint, "alias %q: this file has no aliases", "*"+strings.TrimSuffix(name, ":"))
		case token.TagType:
			refuse(t, "leave it out; a value with ! needs quotes", "tag %q: this file has no tags", t.Value)
		case token.MergeKeyType:
			refuse(t, "write it out; what a site says holds for all its routes", "merge key %q: this file has none", "<<")
		case token.MappingKeyType:
			refuse(t, "write KEY: VALUE; a value with ? needs quotes", "complex key %q: this file has none", "?")
		case token.DirectiveType:
			refuse(t, "leave it out; a value that begins with % needs quotes", "directive %q: this file has none", "%"+name)
		case token.DocumentHeaderType:
			if i > 0 {
				refuse(t, "a configuration is one document; put it into one file", "a second document begins")
			}
		case token.DocumentEndType:
			if i+1 < len(tokens) && tokens[i+1].Type != token.DocumentHeaderType {
				refuse(tokens[i+1], "a configuration is one document; put it into one file", "text after the end of the document")
			}
		}
	}
	if refused > 0 {
		return nil, false
	}
	tokens, wrong := joinColons(tokens)
	if wrong != nil {
		r.problems.Errorf(r.at(wrong), "not YAML: %q holds a second colon", shorten(wrong.Value)).Hint = "put quotes around the value"
		return nil, false
	}
	return tokens, r.checkCost(tokens)
}
