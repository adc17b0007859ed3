package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/sluice-edge/sluice/edge/config"
)

// print prints v for programs, as -o says.
func (g *globals) print(w io.Writer, v any) error {
	if g.output == "yaml" {
		return printYAML(w, v)
	}
	return printJSON(w, v, "  ")
}

// printRow is print for one of many values that come one after the other: an object
// a line, or an item of a list.
func (g *globals) printRow(w io.Writer, v any) error {
	if g.output == "yaml" {
		return printYAML(w, []any{v})
	}
	return printJSON(w, v, "")
}

// printJSON prints v with what could steer a terminal escaped.
func printJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeJSON(b.String()))
	return err
}

// escapeJSON escapes what encoding/json leaves as it is, and a terminal may act
// upon. All of it stands inside of texts.
func escapeJSON(s string) string {
	steers := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r > 0xffff: // RFC 8259, section 7: a pair of surrogates
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// printYAML prints the value that printJSON prints.
func printYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return err
	}
	_, err = w.Write(config.YAML(plain))
	return err
}
