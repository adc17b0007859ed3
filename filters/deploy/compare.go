package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/redact"
)

// The kinds of differences.
const (
	differsVerdict        = "verdict"         // one went on, the other answered by itself
	differsRequest        = "request"         // method, host or target that they went on with
	differsRequestFields  = "request-fields"  // fields that they went on with
	differsRequestContent = "request-content" // content that they went on with
	differsStatus         = "status"
	differsFields         = "fields"
	differsContent        = "content"
)

// maxDetails bounds how many details of one exchange are kept.
const maxDetails = 20

// compare returns in what the version in shadow differs from that which has served.
func compare(live, shadow *outcome, tell *redact.Redactor) (kinds, details []string) {
	add := func(kind string, more ...string) {
		kinds = append(kinds, kind)
		details = append(details, more...)
	}
	if live.on != shadow.on {
		add(differsVerdict, fmt.Sprintf("%s; in shadow it %s", live.verdict(), shadow.verdict()))
		return kinds, details
	}
	if live.on {
		a, b := &live.sent, &shadow.sent
		if a.method != b.method || a.authority != b.authority || a.target != b.target {
			add(differsRequest, fmt.Sprintf("request: %s %s%s; in shadow %s %s%s", brief(a.method), brief(a.authority), brief(tell.URL(a.target)), brief(b.method), brief(b.authority), brief(tell.URL(b.target))))
		}
		if d := fieldDifferences("request ", &a.fields, &b.fields, tell); d != nil {
			add(differsRequestFields, d...)
		}
		if a.content.differs(&b.content) {
			add(differsRequestContent, "request content: "+sizes(&a.content, &b.content))
		}
	}
	if live.status != shadow.status {
		add(differsStatus, fmt.Sprintf("status: %d; in shadow %d", live.status, shadow.status))
	}
	if d := fieldDifferences("", &live.fields, &shadow.fields, tell); d != nil {
		add(differsFields, d...)
	}
	if live.content.differs(&shadow.content) {
		add(differsContent, "content: "+sizes(&live.content, &shadow.content))
	}
	if n := len(details) - maxDetails; n > 0 {
		details = append(details[:maxDetails:maxDetails], fmt.Sprintf("and %d more", n))
	}
	return kinds, details
}

func (o *outcome) verdict() string {
	if o.on {
		return "goes on"
	}
	return fmt.Sprintf("answers %d", o.status)
}

func sizes(a, b *content) string { return a.size() + "; in shadow " + b.size() }

func (c *content) size() string {
	switch {
	case c.over:
		return fmt.Sprintf("more than %d bytes", c.most)
	case c.n == 0:
		return "none"
	}
	return fmt.Sprintf("%d bytes, hash %08x", c.n, uint32(c.hash.Sum64()))
}

// fieldDifferences returns the fields of a name that do not have the same values in the
// same order. The order of names is no difference.
func fieldDifferences(what string, a, b *edge.Fields, tell *redact.Redactor) []string {
	var details []string
	seen := make(map[string]bool)
	look := func(name string) {
		lower := strings.ToLower(name)
		if seen[lower] {
			return
		}
		seen[lower] = true
		was, is := slices.Collect(a.Values(name)), slices.Collect(b.Values(name))
		if !slices.Equal(was, is) {
			details = append(details, fmt.Sprintf("%sfield %s: %s; in shadow %s", what, brief(name), shown(name, was, tell), shown(name, is, tell)))
		}
	}
	for name := range a.All() {
		look(name)
	}
	for name := range b.All() {
		look(name)
	}
	return details
}

// shown returns the values of a field as people may see them.
func shown(name string, values []string, tell *redact.Redactor) string {
	switch {
	case len(values) == 0:
		return "none"
	case tell.Field(name):
		return "(redacted)"
	}
	told := make([]string, len(values))
	for i, v := range values {
		told[i] = tell.URL(v)
	}
	return fmt.Sprintf("%q", brief(strings.Join(told, ", ")))
}
