package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// maxShown is how many lines of a content, or of how it has changed, are shown.
const maxShown = 20

// tried is a request, and what has come of it.
type tried struct {
	Request api.TryRequest `json:"asked"`
	Trial   api.Trial      `json:"trial"`
}

// trialText returns what a module has done, for people: the same each time that it does
// the same.
func trialText(t *tried, paint text.Paint) string {
	var b strings.Builder
	line := func(style text.Style, format string, args ...any) {
		fmt.Fprintf(&b, "  %s\n", paint.In(style, fmt.Sprintf(format, args...)))
	}
	q, r := &t.Request.Request, &t.Trial
	fmt.Fprintf(&b, "%s  %s\n", paint.In(text.Bold, text.Printable(cmp.Or(q.Method, "GET")+" "+q.URL)), paint.In(verdictStyle(r.Verdict), verdictText(r)))
	if r.Failure != "" {
		line(text.Red, "%s", text.Printable(r.Failure))
	}
	for _, c := range r.Changes {
		line(changeStyle(c.Do), "%s", changeText(c))
		if c.What != "content" {
			continue
		}
		for _, l := range contentDiff(t, c.In) {
			style := text.Plain
			switch l[0] {
			case '+':
				style = text.Green
			case '-':
				style = text.Red
			}
			line(style, "    %s", text.Printable(l))
		}
	}
	if r.Verdict == api.TrialAnswered && r.Response != nil {
		for _, f := range r.Response.Headers {
			line(text.Plain, "answer  %s: %s", text.Printable(f.Name), text.Printable(f.Value))
		}
		for _, l := range contentLines(r.Response.Content()) {
			line(text.Plain, "answer  | %s", text.Printable(l))
		}
	}
	for i := range r.Fetches {
		f := &r.Fetches[i]
		style := text.Plain
		if f.Error != "" {
			style = text.Red
		}
		line(style, "%s", fetchText(f))
	}
	for _, l := range r.Said {
		line(text.Dim, "says %s  %s", strings.ToLower(l.Level), text.Printable(l.Text))
	}
	for _, f := range r.Log {
		line(text.Dim, "logs %s: %s", text.Printable(f.Name), text.Printable(f.Value))
	}
	return b.String()
}

// fetchText says what a module has asked an upstream, and what came of it.
func fetchText(f *api.TrialFetch) string {
	what := "not sent"
	if f.Method != "" {
		what = f.Method + " " + f.URI
	}
	if f.Bytes > 0 {
		what += ", " + text.Bytes(f.Bytes)
	}
	if f.Error != "" {
		return fmt.Sprintf("asks     %s: %s -> %s", text.Printable(f.Upstream), text.Printable(what), text.Printable(f.Error))
	}
	return fmt.Sprintf("asks     %s: %s -> %d", text.Printable(f.Upstream), text.Printable(what), f.Status)
}

func verdictText(r *api.Trial) string {
	status := 0
	if r.Response != nil {
		status = r.Response.Status
	}
	switch r.Verdict {
	case api.TrialNext:
		return fmt.Sprintf("goes on, %d", status)
	case api.TrialAnswered:
		return fmt.Sprintf("answers %d", status)
	case api.TrialSkipped:
		return fmt.Sprintf("fails (%s), and is skipped", r.Cause)
	}
	return fmt.Sprintf("fails (%s), %d", cmp.Or(r.Cause, "error"), status)
}

func verdictStyle(verdict string) text.Style {
	switch verdict {
	case api.TrialNext:
		return text.Green
	case api.TrialAnswered:
		return text.Cyan
	case api.TrialSkipped:
		return text.Yellow
	}
	return text.Red
}

// marks are the signs of what is done.
var marks = map[string]string{"added": "+", "removed": "-", "set": "~"}

func changeStyle(do string) text.Style {
	return map[string]text.Style{"added": text.Green, "removed": text.Red, "set": text.Yellow}[do]
}

func changeText(c api.TrialChange) string {
	name := c.Name
	switch c.What {
	case "field", "key":
	case "trailer":
		name = "trailer " + name
	default:
		name = c.What
	}
	from, to := c.From, c.To
	if c.What == "content" {
		from, to = from+" bytes", to+" bytes"
	}
	value := from + " -> " + to
	if c.What == "key" && from == to { // it has a new version
		value = to
	}
	switch c.Do {
	case "added":
		value = to
	case "removed":
		value = from
	}
	if c.TTL > 0 {
		value += " (for " + text.Age(time.Duration(c.TTL)*time.Millisecond) + ")"
	}
	return fmt.Sprintf("%-8s %s %s: %s", c.In, marks[c.Do], text.Printable(name), text.Printable(value))
}

// contentDiff returns how a text has changed, line by line; nothing of what is no text.
func contentDiff(t *tried, in string) []string {
	var from, to []byte
	if in == "request" && t.Trial.Request != nil {
		from, to = t.Request.Request.Content(), t.Trial.Request.Content()
	} else if in == "response" {
		if t.Request.Response != nil {
			from = t.Request.Response.Content()
		}
		to = t.Trial.Response.Content()
	}
	if !utf8.Valid(from) || !utf8.Valid(to) || bytes.IndexByte(from, 0) >= 0 || bytes.IndexByte(to, 0) >= 0 {
		return nil
	}
	var all []string
	for line := range strings.Lines(config.DiffText("content", from, to, 1)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "--- content") && !strings.HasPrefix(line, "+++ content") && !strings.HasPrefix(line, "@@") && !strings.HasPrefix(line, `\`) {
			all = append(all, cmp.Or(line, " "))
		}
	}
	return shorten(all)
}

func contentLines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return []string{"(" + text.Bytes(int64(len(b))) + ", no text)"}
	}
	return shorten(strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"))
}

func shorten(lines []string) []string {
	if n := len(lines) - maxShown; n > 1 {
		lines = append(slices.Clone(lines[:maxShown]), fmt.Sprintf("... %d lines more", n))
	}
	return lines
}

// outcomes returns a table of many trials: those that have come out alike are one row.
func outcomes(all []tried) *text.Table {
	type row struct {
		verdict, changes, example string
		count                     int
	}
	var rows []*row
	of := make(map[string]*row)
	for i := range all {
		r := &all[i].Trial
		var changes []string
		for _, c := range r.Changes {
			name := c.Name
			if c.What != "field" && c.What != "key" {
				name = strings.TrimSpace(c.What + " " + c.Name)
			}
			changes = append(changes, fmt.Sprintf("%s %s%s", c.In, marks[c.Do], name))
		}
		changes = slices.Compact(changes)
		verdict, said := verdictText(r), strings.Join(changes, ", ")
		o := of[verdict+"\x00"+said]
		if o == nil {
			q := &all[i].Request.Request
			o = &row{verdict: verdict, changes: said, example: cmp.Or(q.Method, "GET") + " " + q.URL}
			of[verdict+"\x00"+said] = o
			rows = append(rows, o)
		}
		o.count++
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return b.count - a.count })
	t := text.NewTable(">COUNT", "OUTCOME", "CHANGES", "?FOR EXAMPLE")
	for _, o := range rows {
		t.Add(strconv.Itoa(o.count), o.verdict, text.Or(o.changes), o.example)
	}
	return t
}
