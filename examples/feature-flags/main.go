// Feature-flags decides for each request which features are on, by rules that can be
// changed while it runs, and tells the origin. See README.md.
package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

func init() { sdk.Handle(new(flags).filter()) }

func main() {}

// The names of all flags fit into one field of the log, and two metrics of each into
// what a filter may have.
const (
	maxFlags = 32
	maxName  = 30 // bytes
)

// flags is the filter with its configuration.
type flags struct {
	Namespace string            `json:"namespace"` // of the rules that were changed; default flags
	Prefix    string            `json:"prefix"`    // of the fields that tell the origin; default X-Flag-
	Facts     map[string]string `json:"facts"`     // name to where it is found: "cookie NAME" or "header NAME"
	Flags     map[string]rule   `json:"flags"`     // name to the rule that holds unless it is changed
	To        map[string]string `json:"to"`        // flag to where a request goes for which it is on: "arm NAME" or "upstream NAME"
	Admin     string            `json:"admin"`     // path at which rules are read and changed; default nowhere

	list     []*flag // of Flags, by name
	facts    map[string]source
	store    store
	token    []byte        // of who may use Admin
	failures proxy.Counter // rules that could not be had
}

// flag is one of the flags.
type flag struct {
	name   string
	field  string // of the request
	rule   rule
	part   proxy.Part // of the route that is chosen
	target string     // its name, or ""

	off, on proxy.Counter // requests
}

// store is a [proxy.Namespace], or in a test a map.
type store interface {
	Get(key string) (value []byte, version int64, err error)
	Set(key string, value []byte, ttl time.Duration, version int64) (int64, error)
	Delete(key string, version int64) error
}

// source is where a fact about a request is found.
type source struct{ kind, name string }

func (s source) of(x *sdk.Exchange) string {
	if s.kind == "cookie" {
		return x.Request.Cookie(s.name)
	}
	return x.Request.Fields.Get(s.name)
}

func (f *flags) filter() sdk.Filter {
	return sdk.Filter{Configure: f.configure, Request: f.request}
}

func (f *flags) configure(data []byte) error {
	f.Namespace, f.Prefix = "flags", "X-Flag-"
	if err := config.Unmarshal(data, f); err != nil {
		return err
	}
	if f.store == nil {
		f.store = proxy.Namespace(f.Namespace)
	}
	if f.Prefix == "" || strings.ContainsFunc(f.Prefix, func(c rune) bool { return c != '-' && !isLetter(c) }) {
		return fmt.Errorf("prefix is %q, want letters and -", f.Prefix)
	}
	f.facts = map[string]source{}
	for name, where := range f.Facts {
		kind, at, _ := strings.Cut(where, " ")
		if kind != "cookie" && kind != "header" || !isName(at) {
			return fmt.Errorf(`facts: %s is %q, want "cookie NAME" or "header NAME"`, name, where)
		}
		f.facts[name] = source{kind, at}
	}
	if len(f.Flags) == 0 || len(f.Flags) > maxFlags {
		return fmt.Errorf("there are %d flags, want 1 to %d", len(f.Flags), maxFlags)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Flags)) {
		if err := f.add(name); err != nil {
			return fmt.Errorf("flags: %s: %w", name, err)
		}
	}
	for name := range f.To {
		if _, ok := f.Flags[name]; !ok {
			return fmt.Errorf("to: there is no flag %q", name)
		}
	}
	var err error
	if f.failures, err = counter("flags_failures_total"); err != nil {
		return err
	}
	return f.configureAdmin()
}

// add puts a flag on the list.
func (f *flags) add(name string) error {
	if len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c != '-' && !isLetter(c) && (c < '0' || c > '9') }) ||
		strings.ToLower(name) != name || name == "" {
		return fmt.Errorf("want a name of a-z, 0-9 and -, of at most %d bytes", maxName)
	}
	l := &flag{name: name, field: f.Prefix + name, rule: f.Flags[name]}
	if err := l.rule.knows(f.facts); err != nil {
		return err
	}
	if to := f.To[name]; to != "" {
		kind, target, _ := strings.Cut(to, " ")
		parts := map[string]proxy.Part{"arm": proxy.Arm, "upstream": proxy.Upstream}
		part, ok := parts[kind]
		if !ok || target == "" {
			return fmt.Errorf(`goes to %q, want "arm NAME" or "upstream NAME"`, to)
		}
		l.part, l.target = part, target
	}
	var err1, err2 error
	l.off, err1 = counter("flags_requests_total", proxy.Field{Name: "flag", Value: name}, proxy.Field{Name: "state", Value: "off"})
	l.on, err2 = counter("flags_requests_total", proxy.Field{Name: "flag", Value: name}, proxy.Field{Name: "state", Value: "on"})
	f.list = append(f.list, l)
	return errors.Join(err1, err2)
}

// counter defines a counter. A test has none.
func counter(name string, labels ...proxy.Field) (proxy.Counter, error) {
	c, err := proxy.NewCounter(name, labels...)
	if errors.Is(err, proxy.Unavailable) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the metric %s: %w", name, err)
	}
	return c, nil
}

func isLetter(c rune) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isName reports whether s can be the name of a cookie or field: a token (RFC 9110,
// section 5.6.2).
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func (f *flags) request(x *sdk.Exchange) sdk.Verdict {
	if f.Admin != "" {
		if path := x.Request.Path(); path == f.Admin || strings.HasPrefix(path, f.Admin+"/") {
			return f.administer(x, path[len(f.Admin):])
		}
	}
	for _, name := range x.Request.Fields.Names() {
		if len(name) >= len(f.Prefix) && strings.EqualFold(name[:len(f.Prefix)], f.Prefix) {
			x.Request.Fields.Del(name) // only we say what is on
		}
	}
	fact := f.lookup(x)
	var on []string
	chosen := false
	for _, l := range f.list {
		state, n := "off", l.off
		if f.rule(l).on(l.name, fact) {
			state, n = "on", l.on
			on = append(on, l.name)
			chosen = chosen || l.choose() // of several, the first by name
		}
		x.Request.Fields.Set(l.field, state)
		n.Add(1)
	}
	if len(on) > 0 {
		proxy.LogField("flags", strings.Join(on, ","))
	}
	return sdk.Next
}

// lookup returns a function for the facts about a request, which finds each once.
func (f *flags) lookup(x *sdk.Exchange) func(string) string {
	known := make(map[string]string, len(f.facts))
	return func(name string) string {
		v, ok := known[name]
		if !ok {
			if s, is := f.facts[name]; is {
				v = s.of(x)
			}
			known[name] = v
		}
		return v
	}
}

// rule returns the rule of a flag that holds now. If it cannot be had, that of the
// file holds: a store that is broken must not switch everything off, or on.
func (f *flags) rule(l *flag) rule {
	text, _, err := f.store.Get(l.name)
	if errors.Is(err, proxy.None) {
		return l.rule
	}
	var r rule
	if err == nil {
		r, err = parse(string(text))
	}
	if err == nil {
		err = r.knows(f.facts)
	}
	if err != nil {
		sdk.Log(sdk.Warn, "flag "+l.name+" is as the file has it: "+err.Error())
		f.failures.Add(1)
		return l.rule
	}
	return r
}

// choose has the request go where the flag says, and reports whether that was done.
func (l *flag) choose() bool {
	if l.target == "" {
		return false
	}
	err := proxy.Choose(l.part, l.target)
	if err != nil && !errors.Is(err, proxy.None) { // the route has no split, or another
		sdk.Log(sdk.Warn, "flag "+l.name+" cannot choose "+l.target+": "+err.Error())
	}
	return err == nil
}
