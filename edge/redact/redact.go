// Package redact takes secrets out of what is recorded of exchanges for people to see: by
// the names of fields and of parameters, however they are encoded.
package redact

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-edge/sluice/edge"
)

// Mark stands for a value that is not told, and parameterMark in a URL.
const (
	Mark          = "[redacted]"
	parameterMark = "%5Bredacted%5D"
)

// secretFields are never told, whatever is asked for.
var secretFields = []string{"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"}

// secretParameters are parameters of queries and forms that are never told: those of
// RFC 6749 and RFC 6750, and what others are commonly called.
var secretParameters = []string{
	"access_token", "api_key", "apikey", "assertion", "client_assertion", "client_secret", "id_token", "passwd", "password", "refresh_token", "secret", "token",
}

// Redactor takes secrets out of a recording. It may be used by several goroutines.
type Redactor struct {
	Names []string // besides those above, of fields and of parameters; in any case

	mu  sync.Mutex // guards the following field
	did []string   // names whose values were taken out, in lower case
}

// Field reports whether the value of a field is not told, and notes that.
func (r *Redactor) Field(name string) bool { return r.secret(name, secretFields) }

// secret reports whether the value of a name is not told, and notes that.
func (r *Redactor) secret(name string, always []string) bool {
	name = strings.ToLower(name)
	if !slices.Contains(always, name) && !slices.ContainsFunc(r.Names, func(n string) bool { return edge.EqualFold(n, name) }) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.did, name) {
		r.did = append(r.did, name)
	}
	return true
}

// Found returns the names whose values were taken out, sorted.
func (r *Redactor) Found() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.did)
	return r.did
}

// URL returns a copy of a URL, or of a value that may be or have one, without the
// values of secret parameters in its query and its fragment.
func (r *Redactor) URL(s string) string {
	head, rest, ok := cutAny(s, "?#")
	if scheme, after, found := strings.Cut(head, "://"); found {
		authority, path, _ := cutAny(after, "/")
		if at := strings.LastIndexByte(authority, '@'); at >= 0 { // RFC 3986, section 3.2.1
			head = scheme + "://" + parameterMark + authority[at:] + path
		}
	}
	if !ok {
		return strings.Clone(head)
	}
	return head + r.Parameters(rest)
}

// Parameters returns the same of parameters, before which separators may stand.
func (r *Redactor) Parameters(s string) string {
	const separators = "?#&;"
	var b strings.Builder
	for s != "" {
		if strings.IndexByte(separators, s[0]) >= 0 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		one, rest, _ := cutAny(s, separators)
		s = rest
		name, value, valued := strings.Cut(one, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if valued && r.parameter(plain) {
			one = name + "=" + parameterMark
		} else if inner, err := url.QueryUnescape(value); err == nil && inner != value {
			// A URL within the URL, as where to go on to.
			if told := r.URL(inner); told != inner {
				one = name + "=" + url.QueryEscape(told)
			}
		}
		b.WriteString(one)
	}
	return b.String()
}

// parameter reports whether the value of a parameter is not told: by its name, or by a part
// of it where that has parts, as in user[password] and user.password.
func (r *Redactor) parameter(name string) bool {
	for _, part := range append(strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("[]. ", c) }), name) {
		if r.secret(part, secretParameters) || r.secret(part, secretFields) {
			return true
		}
	}
	return false
}

// cutAny cuts s in front of the first of some characters.
func cutAny(s, chars string) (before, from string, found bool) {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i:], true
}
