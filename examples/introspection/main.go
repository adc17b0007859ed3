// Introspection lets only requests through whose token the authorization server says
// is good (RFC 7662), and remembers what it has said. See README.md.
package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// namespace has what the server has said.
const namespace proxy.Namespace = "introspection"

// maxToken is the longest token that the server is asked about, maxAnswer the longest
// answer, in bytes.
const (
	maxToken  = 4 << 10
	maxAnswer = 64 << 10
)

func init() {
	g := &gate{get: get, set: set, send: send, now: time.Now, secret: proxy.Secret}
	sdk.Handle(g.filter())
}

func main() {}

// gate is the filter with its configuration, and what it has of the proxy.
type gate struct {
	policy

	get    func(key string) ([]byte, error)
	set    func(key string, value []byte, ttl time.Duration) error
	send   func(f *proxy.Fetch, content string) (status int, answer []byte, err error)
	now    func() time.Time
	secret func(name string) ([]byte, error)
}

func (g *gate) filter() sdk.Filter {
	return sdk.Filter{Configure: g.configure, Request: g.request}
}

// refusal is why a request does not get through, in the terms of RFC 6750, section
// 3.1.
type refusal struct {
	status int
	code   string // "": there were no credentials, or the client is not to blame
	why    string
}

// Error implements error.
func (r *refusal) Error() string { return r.why }

func invalid(why string) *refusal { return &refusal{401, "invalid_token", why} }

func (g *gate) request(x *sdk.Exchange) sdk.Verdict {
	f := x.Request.Fields
	for name := range g.Fields {
		f.Del(name) // only we say who somebody is
	}
	token, err := bearer(f.Values("Authorization"))
	var is *identity
	if err == nil {
		is, err = g.introspect(token)
	}
	if err == nil {
		err = g.admit(is)
	}
	var r *refusal
	switch {
	case err == nil:
		for name, value := range is.Fields {
			f.Set(name, value)
		}
		return sdk.Next
	case errors.As(err, &r):
		return g.refuse(x, r)
	}
	sdk.Log(sdk.Error, "the authorization server: "+err.Error())
	if g.Open {
		proxy.LogField("introspection", "open: "+err.Error())
		return sdk.Next
	}
	return g.refuse(x, &refusal{status: 503, why: "the authorization server does not answer"})
}

// refuse answers as RFC 6750, section 3 has it.
func (g *gate) refuse(x *sdk.Exchange, r *refusal) sdk.Verdict {
	proxy.LogField("introspection", r.why)
	if r.status != 503 {
		challenge := `Bearer realm="` + g.Realm + `"`
		if r.code != "" {
			challenge += `, error="` + r.code + `", error_description="` + r.why + `"`
		}
		if r.status == 403 {
			challenge += `, scope="` + strings.Join(g.Scopes, " ") + `"`
		}
		x.Response.Fields.Set("WWW-Authenticate", challenge)
	}
	x.Response.Fields.Set("Cache-Control", "no-store") // what is refused now may be let through soon
	return x.Answer(r.status, r.why+"\n")
}

// bearer returns the token of a request.
func bearer(lines []string) (string, error) {
	if len(lines) > 1 {
		return "", &refusal{400, "invalid_request", "there is more than one Authorization"}
	}
	if len(lines) == 0 {
		return "", &refusal{401, "", "a token is needed"}
	}
	scheme, token, ok := strings.Cut(strings.Trim(lines[0], " \t"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", &refusal{401, "", "a token is needed"}
	}
	token = strings.TrimLeft(token, " ")
	if len(token) > maxToken {
		return "", invalid("the token is too long")
	}
	if !isToken(token) {
		return "", invalid("the token is malformed")
	}
	return token, nil
}

// isToken reports whether s is a b64token (RFC 6750, section 2.1). The server is not
// asked about what cannot be one.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~+/", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

func get(key string) ([]byte, error) {
	value, _, err := namespace.Get(key)
	return value, err
}

func set(key string, value []byte, ttl time.Duration) error {
	_, err := namespace.Set(key, value, ttl, proxy.Always)
	return err
}

// send makes a request and reads its response, up to maxAnswer.
func send(f *proxy.Fetch, content string) (int, []byte, error) {
	f.Length = int64(len(content))
	r, err := f.Start()
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	if _, err := io.WriteString(r, content); err != nil {
		return 0, nil, err
	}
	status, err := r.Status()
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if len(answer) > maxAnswer {
		err = errors.New("its answer is too long")
	}
	return status, answer, err
}
