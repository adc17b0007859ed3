package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// identity is what is remembered of an answer about a token.
type identity struct {
	Why    string            `json:"why,omitempty"`    // it is refused; "": it is good
	Until  float64           `json:"until,omitempty"`  // Unix time in seconds; 0: not said
	Scopes []string          `json:"scopes,omitempty"` // that it has
	Fields map[string]string `json:"fields,omitempty"` // for the origin
}

// introspect returns what is known of a token, or asks.
func (g *gate) introspect(token string) (*identity, error) {
	// The token itself is not kept. Answers to another configuration are not ours.
	sum := sha256.Sum256(append(g.hash[:], token...))
	key := hex.EncodeToString(sum[:])
	switch value, err := g.get(key); {
	case err == nil:
		is := new(identity)
		if err := json.Unmarshal(value, is); err == nil {
			return is, nil
		}
		sdk.Log(sdk.Warn, "what is remembered of a token is damaged")
	case !errors.Is(err, proxy.None):
		sdk.Log(sdk.Warn, "remember: "+err.Error()) // it is only slower
	}
	is, err := g.ask(token)
	if err != nil {
		return nil, err
	}
	if ttl := g.ttl(is); ttl > 0 {
		value, err := json.Marshal(is)
		if err == nil {
			err = g.set(key, value, ttl)
		}
		if err != nil {
			sdk.Log(sdk.Warn, "remember: "+err.Error())
		}
	}
	return is, nil
}

// ttl is how long an answer is remembered: not beyond the token's own time (RFC 7662,
// section 4).
func (g *gate) ttl(is *identity) time.Duration {
	if is.Why != "" {
		return time.Duration(g.Refused) * time.Second
	}
	seconds := float64(g.Keep)
	if is.Until > 0 {
		seconds = min(seconds, is.Until-seconds1970(g.now()))
	}
	return time.Duration(seconds * float64(time.Second))
}

func seconds1970(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// admit returns why a token does not get this request through.
func (g *gate) admit(is *identity) error {
	if is.Why != "" {
		return invalid(is.Why)
	}
	if is.Until > 0 && seconds1970(g.now()) >= is.Until {
		return invalid("the token is not active")
	}
	for _, scope := range g.Scopes {
		if !slices.Contains(is.Scopes, scope) {
			return &refusal{403, "insufficient_scope", "the token is not for this"}
		}
	}
	return nil
}

// ask asks the server (RFC 7662, section 2.1).
func (g *gate) ask(token string) (*identity, error) {
	fetch := &proxy.Fetch{
		Upstream: g.Upstream,
		Method:   "POST",
		URI:      g.Path,
		Fields: []proxy.Field{
			{Name: "authorization", Value: g.authorization},
			{Name: "content-type", Value: "application/x-www-form-urlencoded"},
			{Name: "accept", Value: "application/json"},
		},
		Timeout: g.timeout(),
	}
	if g.Host != "" {
		fetch.Fields = append(fetch.Fields, proxy.Field{Name: "host", Value: g.Host})
	}
	status, answer, err := g.send(fetch, "token="+url.QueryEscape(token)+"&token_type_hint=access_token")
	if err != nil {
		return nil, err
	}
	// Section 2.3: 401 says that it does not know us, and nothing of the token.
	if status != 200 {
		return nil, fmt.Errorf("it answers with %d", status)
	}
	return g.read(answer)
}

// read reads an answer (RFC 7662, section 2.2).
func (g *gate) read(answer []byte) (*identity, error) {
	var claims map[string]any // as it spells them: a struct would not mind the case
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&claims); err != nil {
		return nil, fmt.Errorf("its answer is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("its answer is more than one value")
	}
	active, ok := claims["active"].(bool)
	if !ok {
		return nil, errors.New("its answer does not say active")
	}
	if !active {
		return &identity{Why: "the token is not active"}, nil
	}
	// Tokens of other types prove who has sent them (RFC 9449, RFC 8705), which is not
	// looked at here.
	if typ, ok := claims["token_type"].(string); ok && !strings.EqualFold(typ, "Bearer") || claims["cnf"] != nil {
		return &identity{Why: "the token is bound to somebody's key"}, nil
	}
	is := &identity{Fields: make(map[string]string)}
	until, err := seconds(claims["exp"])
	if err != nil {
		return nil, fmt.Errorf("its answer has exp: %w", err)
	}
	is.Until = until
	if g.Audience != "" {
		if aud, _ := texts(claims["aud"]); !slices.Contains(aud, g.Audience) {
			return &identity{Why: "the token is for somebody else"}, nil
		}
	}
	if scope, ok := claims["scope"].(string); ok {
		is.Scopes = strings.Fields(scope)
	}
	for name, claim := range g.Fields {
		value, ok := text(claims[claim])
		if !ok {
			return nil, fmt.Errorf("its answer has a %q that cannot be a field", claim)
		}
		if value != "" {
			is.Fields[name] = value
		}
	}
	return is, nil
}

// seconds returns a time in seconds of 1970, 0 if there is none.
func seconds(v any) (float64, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case json.Number:
		n, err := v.Float64()
		return max(n, 1), err // 0 says that there is none, and has passed as long as 1
	}
	return 0, errors.New("it is no number")
}

// texts returns the texts of a list, or the one that v is.
func texts(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		var all []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			all = append(all, s)
		}
		return all, true
	}
	return nil, false
}

// text returns a claim as the value of a field: "" if there is none. Control
// characters are not for fields (RFC 9110, section 5.5).
func text(v any) (string, bool) {
	var s string
	switch v := v.(type) {
	case nil:
	case json.Number:
		s = v.String()
	case bool:
		s = fmt.Sprint(v)
	default:
		all, ok := texts(v)
		if !ok {
			return "", false
		}
		s = strings.Join(all, " ")
	}
	return s, !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}
