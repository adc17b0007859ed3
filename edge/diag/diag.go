// Package diag is what is wrong with something that a person wrote, and where:
// every Parse and Validate collects its findings into a List, so that all of
// them can be shown at once.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where something stands.
type Place struct {
	File   string // as the user named it; "" if it has no name
	Line   int    // from 1; 0 if unknown
	Column int    // in characters, from 1; 0 if unknown
	Path   string // like sites.example.com.routes./api/*.to; "" for the whole
}

// String returns file:line:column, or as much of it as is known.
func (p Place) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		if p.File != "" {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%d:%d", p.Line, max(p.Column, 1))
	}
	return b.String()
}

// Severity says whether a problem stops what was asked for.
type Severity uint8

// Error is the zero value: what is not called a warning is wrong.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText returns String, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the reverse of MarshalText.
func (s *Severity) UnmarshalText(text []byte) error {
	switch string(text) {
	case "error":
		*s = Error
	case "warning":
		*s = Warning
	default:
		return fmt.Errorf("unknown severity %q", text)
	}
	return nil
}

// Problem is one finding.
type Problem struct {
	Place    Place
	Severity Severity
	Message  string // lower case, without place and period: no upstream "api-v3"; have "api", "static"
	Hint     string // what to do about it; may be ""
}

// compare orders problems by place, then errors before warnings.
func (p Problem) compare(q Problem) int {
	return cmp.Or(
		cmp.Compare(p.Place.File, q.Place.File),
		cmp.Compare(p.Place.Line, q.Place.Line),
		cmp.Compare(p.Place.Column, q.Place.Column),
		cmp.Compare(p.Place.Path, q.Place.Path),
		cmp.Compare(p.Severity, q.Severity),
		cmp.Compare(p.Message, q.Message),
		cmp.Compare(p.Hint, q.Hint),
	)
}

// String returns the problem on one line, without excerpt and hint.
func (p Problem) String() string {
	parts := make([]string, 0, 3)
	if s := p.Place.String(); s != "" {
		parts = append(parts, s)
	}
	if p.Place.Path != "" {
		parts = append(parts, p.Place.Path)
	}
	if p.Severity == Warning {
		return strings.Join(append(parts, "warning: "+p.Message), ": ")
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// List collects problems. The zero value is empty and ready for use. It is not
// safe for concurrent use.
type List struct {
	problems []Problem
	sorted   bool
	sources  map[string]*source
}

// Source tells the list what stands in a file, so that String can show it.
func (l *List) Source(file string, text []byte) {
	if l.sources == nil {
		l.sources = make(map[string]*source)
	}
	l.sources[file] = &source{text: text}
}

// Add adds problems.
func (l *List) Add(problems ...Problem) {
	l.problems = append(l.problems, problems...)
	l.sorted = false
}

// Errorf adds an error and returns it, so that a hint can be given to it before
// the next call.
func (l *List) Errorf(at Place, format string, args ...any) *Problem {
	return l.addf(Error, at, format, args...)
}

// Warnf adds a warning and returns it, like Errorf.
func (l *List) Warnf(at Place, format string, args ...any) *Problem {
	return l.addf(Warning, at, format, args...)
}

func (l *List) addf(s Severity, at Place, format string, args ...any) *Problem {
	l.Add(Problem{Place: at, Severity: s, Message: fmt.Sprintf(format, args...)})
	return &l.problems[len(l.problems)-1]
}

// Problems returns what was added, sorted by place, each problem once.
func (l *List) Problems() []Problem {
	if !l.sorted {
		slices.SortStableFunc(l.problems, Problem.compare)
		l.problems = slices.Compact(l.problems)
		l.sorted = true
	}
	return l.problems
}

// Failed reports whether there is an error among the problems.
func (l *List) Failed() bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Severity == Error })
}

// Warned reports whether there is a warning among the problems, for those who want
// none.
func (l *List) Warned() bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Severity == Warning })
}

// Err returns the list as an error if it has failed, else nil.
func (l *List) Err() error {
	if l.Failed() {
		return l
	}
	return nil
}

// Error makes a list an error, whose text is String's.
func (l *List) Error() string { return l.String() }

// Len returns how many problems were added.
func (l *List) Len() int { return len(l.problems) }
