// Markdown renders Markdown as HTML: of a request's content, or of the page that
// is built in. See README.md.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"io"
	"os"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

//go:embed page.md
var page []byte

// maxContent is the most Markdown that is rendered, in bytes.
const maxContent = 1 << 20

func main() {
	if err := respond(os.Getenv, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err) // for sluice fn logs
		os.Exit(1)                   // sluice answers 500
	}
}

// respond writes the response to the request that env and content are.
func respond(env func(string) string, content io.Reader, w io.Writer) error {
	switch env("REQUEST_METHOD") {
	case "GET", "HEAD":
		return render(w, page)
	case "POST":
		source, err := io.ReadAll(io.LimitReader(content, maxContent+1))
		if err != nil {
			return err
		}
		if len(source) > maxContent {
			return refuse(w, "413 Content Too Large", "")
		}
		return render(w, source)
	default:
		return refuse(w, "405 Method Not Allowed", "Allow: GET, HEAD, POST\n")
	}
}

// markdown leaves HTML in its source out, and links that run scripts, since
// anybody may have written it.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))

func render(w io.Writer, source []byte) error {
	var out bytes.Buffer
	out.WriteString("Content-Type: text/html; charset=utf-8\n" +
		"Content-Security-Policy: default-src 'none'; img-src https:; style-src 'unsafe-inline'\n\n")
	fmt.Fprintf(&out, "<!doctype html>\n<meta charset=utf-8>\n<title>%s</title>\n", html.EscapeString(title(source)))
	if err := markdown.Convert(source, &out); err != nil {
		return err
	}
	_, err := out.WriteTo(w)
	return err
}

// title returns the first heading, or else a word.
func title(source []byte) string {
	for line := range bytes.Lines(source) {
		if text, ok := bytes.CutPrefix(line, []byte("# ")); ok {
			return string(bytes.TrimSpace(text))
		}
	}
	return "Markdown"
}

func refuse(w io.Writer, status, field string) error {
	_, err := fmt.Fprintf(w, "Status: %s\nContent-Type: text/plain; charset=utf-8\n%s\n%s\n", status, field, status)
	return err
}
