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

// secretFields are never told, whatever is asked for, besides those that isSecret knows.
var secretFields = []string{"authorization", "cookie", "proxy-authorization", "set-cookie"}

// What names of secrets have in them, and how they end, without what separates their
// words: those of RFC 6749, RFC 6750, RFC 7521 and RFC 8693, of signed URLs, and what
// others are commonly called.
var (
	secretParts = []string{"apikey", "credential", "passphrase", "passwd", "password", "secret", "sessid"}
	secretEnds  = []string{"accesskey", "assertion", "authkey", "codeverifier", "devicecode", "jwt", "privatekey", "pwd", "sessionid", "signature", "token", "tokenhint", "tokens"}
	secretNames = []string{"otp", "pass", "samlrequest", "samlresponse", "sid", "sig"}
)

// isSecret reports whether what has a name, in lower case, is a secret by that.
func isSecret(name string) bool {
	name = strings.Map(func(c rune) rune {
		if c < 0x80 && !('a' <= c && c <= 'z') && !('0' <= c && c <= '9') {
			return -1
		}
		return c
	}, name)
	return slices.Contains(secretNames, name) ||
		slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(name, part) }) ||
		slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}

// Redactor takes secrets out of a recording. It may be used by several goroutines.
type Redactor struct {
	Names []string // besides those above, of fields and of parameters; in any case

	mu  sync.Mutex // guards the following field
	did []string   // names whose values were taken out, in lower case, up to maxNoted
}

// Field reports whether the value of a field is not told, and notes that.
func (r *Redactor) Field(name string) bool { return r.secret(name) }

// secret reports whether the value of a name is not told, and notes that.
func (r *Redactor) secret(name string) bool {
	name = strings.ToLower(name)
	if !slices.Contains(secretFields, name) && !isSecret(name) && !slices.ContainsFunc(r.Names, func(n string) bool { return edge.EqualFold(n, name) }) {
		return false
	}
	r.note(name)
	return true
}

// What is noted at most: clients choose names.
const (
	maxNoted = 64 // names
	maxName  = 64 // bytes of one
)

func (r *Redactor) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.did) < maxNoted && len(name) <= maxName && !slices.Contains(r.did, name) {
		r.did = append(r.did, name)
	}
}

// Found returns the names whose values were taken out, sorted: the first that were found,
// if they are many.
func (r *Redactor) Found() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.did)
	return r.did
}

// URL returns a copy of a URL, or of a value that may be or have one, without users and
// passwords, and without the values of secret parameters in its path, its query and its
// fragment.
func (r *Redactor) URL(s string) string { return r.url(s, 0) }

// maxDepth is how deep URLs are looked for within URLs. What is encoded more often is not
// told: a client could have it looked at as often as it has bytes.
const maxDepth = 4

func (r *Redactor) url(s string, depth int) string {
	head, rest, ok := cutAny(s, "?#;")
	if scheme, after, found := strings.Cut(head, "://"); found {
		authority, path, _ := cutAny(after, "/")
		if at := strings.LastIndexByte(authority, '@'); at >= 0 { // RFC 3986, section 3.2.1
			head = scheme + "://" + parameterMark + authority[at:] + path
		}
	}
	if !ok {
		return strings.Clone(head)
	}
	return head + r.parameters(rest, depth)
}

// Parameters returns the same of parameters, before which separators may stand.
func (r *Redactor) Parameters(s string) string { return r.parameters(s, 0) }

func (r *Redactor) parameters(s string, depth int) string {
	const separators = "?#&;"
	var b strings.Builder
	granted := strings.Contains(s, "state=") || strings.Contains(s, "grant_type=")
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
		switch {
		case valued && r.parameter(plain):
			one = name + "=" + parameterMark
		case granted && valued && plain == "code": // RFC 6749, sections 4.1.2 and 4.1.3
			r.note(plain)
			one = name + "=" + parameterMark
		default:
			one = name + one[len(name):len(one)-len(value)] + r.inner(value, depth+1)
		}
		b.WriteString(one)
	}
	return b.String()
}

// inner returns the same of a URL within a URL, as where to go on to.
func (r *Redactor) inner(value string, depth int) string {
	plain, err := url.QueryUnescape(value)
	if err != nil {
		plain = value
	}
	if depth > maxDepth && plain != value {
		return parameterMark
	}
	told := r.url(plain, depth)
	switch {
	case told == plain:
		return value
	case plain == value:
		return told
	}
	return url.QueryEscape(told)
}

// parameter reports whether the value of a parameter is not told: by its name, or by a part
// of it where that has parts, as in user[password] and user.password.
func (r *Redactor) parameter(name string) bool {
	for _, part := range append(strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("[]. ", c) }), name) {
		if r.secret(part) {
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
