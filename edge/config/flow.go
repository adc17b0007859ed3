package config

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// joinColons puts together what the lexer takes apart in a flow map: to it
// { shop: [10.0.0.1:80] } has a map in the list. In YAML a colon ends a plain key
// only if a space or a bracket follows (YAML 1.2.2, section 7.3.3), so that an
// address needs no quotes.
//
// It returns the token that holds a second colon where none may be, or nil.
func joinColons(tokens token.Tokens) (joined token.Tokens, wrong *token.Token) {
	flows := 0
	out := make(token.Tokens, 0, len(tokens))
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flows++
		case token.MappingEndType, token.SequenceEndType:
			flows--
		}
		if flows <= 0 {
			out = append(out, t)
			continue
		}
		if t.Type != token.MappingValueType || i+1 == len(tokens) || !isPlain(tokens[i+1]) || !follows(t.Position, 1, tokens[i+1].Position) {
			if t.Type == token.StringType && strings.Contains(t.Value, ": ") {
				return nil, t
			}
			out = append(out, t)
			continue
		}
		// A colon with text right behind it: part of that, and of a plain text right
		// before it.
		next := tokens[i+1]
		position := *t.Position
		text := ":" + next.Value
		if n := len(out); n > 0 && isPlain(out[n-1]) && follows(out[n-1].Position, utf8.RuneCountInString(out[n-1].Value), t.Position) {
			position = *out[n-1].Position
			text = out[n-1].Value + text
			out = out[:n-1]
		} else if n > 0 && !startsFlowEntry(out[n-1]) {
			out = append(out, t) // behind a quoted key: {"a":b}
			continue
		}
		i++
		key, value, split := strings.Cut(text, ": ")
		out = append(out, token.New(key, key, &position))
		if !split {
			continue
		}
		// What the lexer took for the value holds the colon that ends the key.
		if strings.Contains(value, ": ") {
			return nil, next
		}
		colon := position
		colon.Column += utf8.RuneCountInString(key)
		colon.Offset += len(key)
		after := colon
		after.Column += 2
		after.Offset += 2
		trimmed := strings.TrimLeft(value, " ")
		after.Column += len(value) - len(trimmed)
		after.Offset += len(value) - len(trimmed)
		out = append(out, token.MappingValue(&colon), token.New(trimmed, trimmed, &after))
	}
	return slices.Clip(out), nil
}

// follows reports whether b is n characters behind a.
func follows(a *token.Position, n int, b *token.Position) bool {
	return a.Line == b.Line && a.Column+n == b.Column
}

// isPlain reports whether t is a scalar without quotes.
func isPlain(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.NullType, token.BoolType, token.InfinityType, token.NanType, token.FloatType,
		token.IntegerType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}
