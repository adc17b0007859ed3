package capture

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// redacted stands for a value that is not told, and redactedParameter in a URL.
const (
	redacted          = "[redacted]"
	redactedParameter = "%5Bredacted%5D"
)

// secretFields are never told, whatever is asked for.
var secretFields = []string{"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"}

// secretParameters are parameters of queries and forms that are never told: those of
// RFC 6749 and RFC 6750, and what others are commonly called.
var secretParameters = []string{
	"access_token", "api_key", "apikey", "client_secret", "id_token", "passwd", "password", "refresh_token", "secret", "token",
}

// redactor takes secrets out of a recording.
type redactor struct {
	names []string // besides those above, of fields and of parameters

	mu  sync.Mutex // guards the following field
	did []string   // names whose values were taken out, in lower case
}

// secret reports whether the value of a name is not told, and notes that.
func (r *redactor) secret(name string, always []string) bool {
	name = strings.ToLower(name)
	if !slices.Contains(always, name) && !slices.ContainsFunc(r.names, func(n string) bool { return edge.EqualFold(n, name) }) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.did, name) {
		r.did = append(r.did, name)
	}
	return true
}

// found returns the names whose values were taken out, sorted.
func (r *redactor) found() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.did)
	return r.did
}

// fields returns a copy of f without secrets.
func (r *redactor) fields(f *edge.Fields) []api.Field {
	var all []api.Field
	for name, value := range f.All() {
		if r.secret(name, secretFields) {
			value = redacted
		} else {
			value = r.url(value)
		}
		all = append(all, api.Field{Name: strings.Clone(name), Value: value})
	}
	return all
}

// url returns a copy of a URL, or of a value that may be or have one, without the
// values of secret parameters in its query and its fragment.
func (r *redactor) url(s string) string {
	head, rest, ok := cutAny(s, "?#")
	if !ok {
		return strings.Clone(s)
	}
	return head + r.parameters(rest)
}

// parameters returns the same of parameters, before which separators may stand.
func (r *redactor) parameters(s string) string {
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
		name, _, valued := strings.Cut(one, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if valued && (r.secret(plain, secretParameters) || r.secret(plain, secretFields)) {
			one = name + "=" + redactedParameter
		}
		b.WriteString(one)
	}
	return b.String()
}

// cutAny cuts s in front of the first of some characters.
func cutAny(s, chars string) (before, from string, found bool) {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i:], true
}

// content returns a content without the values of secret parameters, if it is a form.
func (r *redactor) content(b []byte, fields []api.Field) []byte {
	for _, f := range fields {
		kind, _, _ := strings.Cut(f.Value, ";")
		if edge.EqualFold(f.Name, "Content-Type") && edge.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
			return []byte(r.parameters(string(b)))
		}
	}
	return b
}
