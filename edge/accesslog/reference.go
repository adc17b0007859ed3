package accesslog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// outcomes is what Record.Why says of an exchange that did not fail.
var outcomes = [...]struct{ code, meaning string }{
	{"ok", "answered: by the upstream, a function, a filter, a redirect or a fixed answer"},
	{"hit", "answered from the cache"},
	{"hit-stale", "answered by the cache with something old, which the client allowed"},
	{"pass", "answered, past the cache: the method is not one that it answers"},
}

// failures is what Record.Why says of the others, in the order of an exchange.
var failures = [...]struct{ code, meaning string }{
	{"bad-request", "the client broke a rule of HTTP, or a limit on what it may send"},
	{"misdirected", "the connection's certificate is not the site's; the client is to make another"},
	{"no-route", "no site or route matches"},
	{"denied", "the request is not allowed"},
	{"limited", "the upstream's connections or the places for those that wait are all taken"},
	{"filter-trap", "a filter trapped, ran out of time or memory, or broke its ABI, and its `on-error` is `deny`"},
	{"function-trap", "a function trapped, ran out of time or memory, or answered with no valid response"},
	{"no-upstream", "no endpoint can be used: its name resolves to nothing, or all are out"},
	{"connect-fail", "no connection to the endpoint: refused, timed out, or TLS failed"},
	{"timeout", "the upstream did not answer, or nothing moved, for as long as is allowed"},
	{"upstream-cut", "the upstream's connection ended before its response did"},
	{"upstream-bad", "the upstream's response breaks HTTP, or a limit"},
	{"loop", "the request has been here before"},
	{"client-gone", "the client went away before the end"},
	{"internal", "sluice's own fault, or its configuration's"},
}

// Reference describes the access log in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	b.WriteString("\n| Key | |\n|---|---|\n")
	for n := nameTS; n < namePath; n++ {
		fmt.Fprintf(&b, "| `%s` | %s |\n", names[n].text, names[n].meaning)
	}
	b.WriteString("| `fields` | the fields of the request that [`log.fields`](../config.md#log) names, as filters left them: `{\"user-agent\": \"curl/8\"}`; several lines of one name are one value, with commas |\n")
	b.WriteString(referenceWhy)
	b.WriteString("\n| `why` | Status | `error=` of Proxy-Status | |\n|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "| `%s` | | | %s |\n", o.code, o.meaning)
	}
	for _, o := range failures {
		statuses, tokens := answers(o.code)
		fmt.Fprintf(&b, "| `%s` | %s |%s | %s |\n", o.code, statuses, tokens, o.meaning)
	}
	b.WriteString(referenceFormats)
	b.WriteString("\n| Name | |\n|---|---|\n")
	for n := namePath; int(n) < len(names); n++ {
		fmt.Fprintf(&b, "| `{%s}` | %s |\n", names[n].text, names[n].meaning)
	}
	fmt.Fprintf(&b, "| `{%sNAME}` | a field of the client's request, as filters left it: a filter adds to the log by setting one. `host` is there too |\n", requestPrefix)
	fmt.Fprintf(&b, "| `{%sNAME}` | a field of the response, as sent; not those that belong to the framing, like `Content-Length` |\n", responsePrefix)
	b.WriteString(referenceRest)
	return b.String()
}

// answers returns what the kinds of failure behind a code are answered with.
func answers(code string) (statuses, tokens string) {
	var s, t []string
	add := func(list []string, what string) []string {
		if slices.Contains(list, what) {
			return list
		}
		return append(list, what)
	}
	for k := edge.InternalError; k <= edge.ClientGone; k++ {
		if k.Why() == code {
			s = add(s, fmt.Sprint(k.Status()))
			if k != edge.ClientGone { // nobody is told
				t = add(t, "`"+k.String()+"`")
			}
		}
	}
	if len(t) > 0 {
		tokens = " " + strings.Join(t, ", ")
	}
	return strings.Join(s, ", "), tokens
}

const referenceIntro = `# The access log

This page is generated from the code that writes the log.

sluice writes a line for each exchange when it is over, also for requests that it could not read. A route with
` + "`log: off`" + ` has none. Where lines go, and what they look like, is in the file:

` + "```yaml" + `
log:
  access: { file: /var/log/sluice/access.log, format: combined, rotate: 100MB or 24h, keep: 14, compress: yes }
  fields: [user-agent, referer]
  redact: [authorization, cookie, proxy-authorization]
` + "```" + `

Lines are written by a goroutine of their own, many at a time and at most 100 ms after the exchange: no request waits for
the disk. What the output does not take is dropped once 1 MiB waits, counted, and told in the error log, at most every 10
seconds.

## JSON

` + "`format: json`" + `, the default: one object a line. What has nothing to say is left out. A dot stands for an object in the
object: ` + "`ms.total`" + ` is ` + "`{\"ms\":{\"total\":1.5}}`" + `.
`

const referenceWhy = `
### why

The outcome in one word, which does not change between versions. Status is what sluice answers with where the response is
its own; a limit has one of its own (413, 431), and a response that had begun keeps its status. The client sees the type of the
error in ` + "`Proxy-Status`" + ` (RFC 9209), and never its cause, which is under ` + "`error`" + `.
`

const referenceFormats = `
## Common, combined and templates

` + "`format: common`" + ` and ` + "`format: combined`" + ` are NCSA's formats as Apache writes them, for the tools that read them (GoAccess, AWStats,
fail2ban). They are these templates:

` + "```\n" + common + "\n" + combined + "\n```" + `

Any other format is a template: text with names in braces. ` + "`{{` and `}}`" + ` are braces. A name that does not exist is an error when
the file is checked. What has nothing to say is ` + "`-`" + `. The names are the keys of a JSON line but ` + "`fields`" + `, and
`

const referenceRest = `
A template has at most 4 KiB, and no control characters but tabs.

## What cannot happen to a line

Whatever a client, an origin or a filter sends, an exchange is one line, and a value stays within its quotes.

- In JSON, ` + "`\"`, `\\`" + ` and control characters are escaped (DEL, C1, U+2028 and U+2029 too), and a byte that is not UTF-8 becomes U+FFFD.
- Elsewhere it is as Apache does it: ` + "`\"` and `\\` get a `\\` in front, and what is not printable ASCII becomes `\\xhh`, but for `\\b`, `\\n`,\n  `\\r`, `\\t` and `\\v`" + `. A space stays a space: a value that may have one stands between quotes, ` + "`\"{request.user-agent}\"`" + `.
- A value of more than 8 KiB is cut and ends in ` + "`...`" + `.
- The values of the fields in ` + "`log.redact`" + ` are ` + "`[redacted]`" + `, in every format, in requests and responses.

## Files

A file is made with the permissions 0640, its directory with 0750, and appended to. It may be a symbolic link. What is no regular
file is refused: ` + "`stdout` and `stderr`" + ` have words of their own.

**Rotation.** With ` + "`rotate`" + `, the first line that would make the file larger than its size, or that is behind a multiple of its age,
goes to a new file. Ages count in UTC: with ` + "`24h`" + ` a file ends at midnight, with ` + "`1h`" + ` at the full hour. The old one gets the
time in its name, ` + "`access.log` becomes `access-20261121T053702.123.log`" + `; a name is never taken twice. The new one has its permissions.
The newest ` + "`keep`" + ` of the old ones are kept; 0 keeps all. ` + "`compress`" + ` makes ` + "`access-20261121T053702.123.log.gz`" + ` of them, in the
background; a file that is half compressed when sluice ends is compressed anew at the next start.

**Rotation by others** (logrotate): rename the file and send ` + "`USR1`" + `; sluice then goes on in a new file of the old name, and the
renamed one is written to until then. Leave ` + "`rotate`" + ` off. A file that was removed is made anew with the next line.

**A full disk**, or any other error: serving goes on, lines are dropped, counted and told in the error log. Of a line that did not
fit nothing is left in the file. When there is room again lines are written again.

**Two processes** may write to one file, as they do while one replaces another: each holds a lock (flock) while it writes.
`
