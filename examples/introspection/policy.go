package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk/config"
)

// policy is the configuration. See README.md.
type policy struct {
	Upstream string            `json:"upstream"`
	Path     string            `json:"path"`
	Host     string            `json:"host"`
	Client   string            `json:"client"`
	Timeout  int               `json:"timeout"` // in milliseconds
	Keep     int               `json:"keep"`    // in seconds, as the next
	Refused  int               `json:"refused"`
	Audience string            `json:"audience"`
	Scopes   []string          `json:"scopes"`
	Fields   map[string]string `json:"fields"` // name of the field: claim
	Open     bool              `json:"open"`
	Realm    string            `json:"realm"`

	authorization string   // towards the server
	hash          [32]byte // of the configuration: answers are remembered for it alone
}

const (
	maxTimeout = 10_000 // milliseconds: sluice waits no longer for a fetch
	maxKeep    = 3600   // seconds
)

func (g *gate) configure(data []byte) error {
	g.policy = policy{Path: "/introspect", Timeout: 2000, Keep: 60, Refused: 10, Realm: "sluice"}
	if err := config.Unmarshal(data, &g.policy); err != nil {
		return err
	}
	if g.Fields == nil {
		g.Fields = map[string]string{"X-User": "sub"}
	}
	switch {
	case g.Upstream == "" || g.Client == "":
		return errors.New("want upstream, that has the authorization server, and client, our name there")
	case !strings.HasPrefix(g.Path, "/"):
		return errors.New("path: want one that begins with /")
	case g.Timeout < 1 || g.Timeout > maxTimeout:
		return fmt.Errorf("timeout: want milliseconds, from 1 to %d", maxTimeout)
	case g.Keep < 0 || g.Keep > maxKeep || g.Refused < 0 || g.Refused > maxKeep:
		return fmt.Errorf("keep and refused: want seconds, up to %d", maxKeep)
	case !quotable(g.Realm) || !quotable(strings.Join(g.Scopes, " ")):
		return errors.New("realm and scopes: want ASCII without quotes and backslashes")
	case slices.Contains(g.Scopes, ""):
		return errors.New("scopes: one of them is empty")
	}
	seen := make(map[string]bool)
	for name := range g.Fields {
		key := strings.ToLower(name)
		if !isName(name) || seen[key] || slices.Contains([]string{"authorization", "host", "content-length", "transfer-encoding", "connection"}, key) {
			return fmt.Errorf("fields: %q is not the name of a field, is there twice, or has another meaning", name)
		}
		seen[key] = true
	}
	secret, err := g.secret("client")
	if err != nil {
		return fmt.Errorf("secret client: %w; write allow: { secrets: { client: env:NAME } }", err)
	}
	if len(secret) == 0 {
		return errors.New("secret client: it is empty")
	}
	// RFC 6749, section 2.3.1: both are encoded as in forms first.
	credentials := url.QueryEscape(g.Client) + ":" + url.QueryEscape(string(secret))
	g.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	g.hash = sha256.Sum256(append(data, secret...))
	return rehearse()
}

// rehearse does once what each request does: what the packages prepare at their first
// use is then in the memory that requests begin with.
func rehearse() error {
	value, err := json.Marshal(&identity{Why: "a", Until: 1.5, Scopes: []string{"a"}, Fields: map[string]string{"a": "a"}})
	if err != nil {
		return err
	}
	return json.Unmarshal(value, new(identity))
}

func (p *policy) timeout() time.Duration { return time.Duration(p.Timeout) * time.Millisecond }

// quotable reports whether s can stand between quotes in a field (RFC 6750, section 3).
func quotable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// isName reports whether s is the name of a field (RFC 9110, section 5.6.2).
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}
