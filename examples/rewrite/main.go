// Rewrite changes paths and queries by rules from its configuration. See
// README.md.
package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
)

func init() { sdk.Handle(new(rewriter).filter()) }

func main() {}

// rewriter is the filter with its configuration.
type rewriter struct {
	Rules []*rule  `json:"rules"` // the first that matches applies
	Drop  []string `json:"drop"`  // parameters that are taken off every query; * at the end is anything
}

type rule struct {
	Match string `json:"match"` // a regular expression about the path
	To    string `json:"to"`    // path, or path?query, with $1 or ${name} for what was captured

	re          *regexp.Regexp
	path, query string // of To
}

func (w *rewriter) filter() sdk.Filter {
	return sdk.Filter{Configure: w.configure, Request: w.request}
}

func (w *rewriter) configure(data []byte) error {
	if err := config.Unmarshal(data, w); err != nil {
		return err
	}
	if len(w.Rules) == 0 && len(w.Drop) == 0 {
		return errors.New("want rules, drop, or both")
	}
	for i, r := range w.Rules {
		if err := r.compile(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *rule) compile() (err error) {
	if r == nil {
		return errors.New("want match and to")
	}
	if r.re, err = regexp.Compile(r.Match); err != nil {
		return err
	}
	r.path, r.query, _ = strings.Cut(r.To, "?")
	if !strings.HasPrefix(r.path, "/") || strings.ContainsFunc(r.To, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return fmt.Errorf("to is %q, which is not an encoded path that begins with a slash", r.To)
	}
	return nil
}

func (w *rewriter) request(x *sdk.Exchange) sdk.Verdict {
	path, query := x.Request.Path(), x.Request.Query()
	to := w.uri(path, query)
	if to != x.Request.URI() {
		sdk.Log(sdk.Debug, x.Request.URI()+" becomes "+to)
		x.Request.SetURI(to)
	}
	return sdk.Next
}

// uri returns what a path and a query become.
func (w *rewriter) uri(path, query string) string {
	query = w.drop(query)
	for _, r := range w.Rules {
		if m := r.re.FindStringSubmatchIndex(path); m != nil {
			path, query = r.apply(path, m, query)
			break
		}
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}

// apply returns the new path and query. What the client asks in its query goes
// behind what the rule says.
func (r *rule) apply(path string, m []int, query string) (newPath, newQuery string) {
	newPath = string(r.re.ExpandString(nil, r.path, path, m))
	if r.query == "" {
		return newPath, query
	}
	// A path may have & and = in it, which must not become further parameters.
	var escaped strings.Builder
	at := make([]int, len(m))
	for i := 0; i < len(m); i += 2 {
		at[i], at[i+1] = m[i], m[i+1]
		if m[i] >= 0 {
			at[i] = escaped.Len()
			escaped.WriteString(parameter(path[m[i]:m[i+1]]))
			at[i+1] = escaped.Len()
		}
	}
	newQuery = string(r.re.ExpandString(nil, r.query, escaped.String(), at))
	if query != "" {
		newQuery += "&" + query
	}
	return newPath, newQuery
}

// parameter returns a part of an encoded path as the value of a parameter.
func parameter(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		s = decoded
	}
	return url.QueryEscape(s)
}

// drop takes parameters off a query, and leaves the rest as it is.
func (w *rewriter) drop(query string) string {
	if len(w.Drop) == 0 || query == "" {
		return query
	}
	var kept []string
	for p := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if !w.drops(name) {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "&")
}

func (w *rewriter) drops(name string) bool {
	for _, d := range w.Drop {
		if start, ok := strings.CutSuffix(d, "*"); ok && strings.HasPrefix(name, start) || name == d {
			return true
		}
	}
	return false
}
