// Pow-challenge lets browsers in that have done some work, and so keeps out robots that
// want many pages for nothing. See README.md.
package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

func init() { sdk.Handle(new(guard).filter()) }

func main() {}

//go:embed page.html
var page string

// guard is the filter with its configuration.
type guard struct {
	Bits     int    `json:"bits"`     // that must be zero: a proof takes 2^Bits hashes on average; 8 to 26, default 18
	Lifetime string `json:"lifetime"` // for how long a proof lets its client in; 1m to 720h, default 1h
	Cookie   string `json:"cookie"`   // in which proofs come; default pow
	Except   except `json:"except"`   // who need not show a proof

	key      []byte // of challenges
	lifetime time.Duration
	page     []string // around challenge and minute
	policy   string   // Content-Security-Policy of the page

	passed, exempt, challenged, wrong proxy.Counter
}

// except is who need not show a proof.
type except struct {
	Paths    []string       `json:"paths"`    // decoded; * at the end is anything
	Networks []netip.Prefix `json:"networks"` // of clients, as of search engines
}

// minKey is how short the key may be, in bytes.
const minKey = 16

func (g *guard) filter() sdk.Filter {
	return sdk.Filter{Configure: g.configure, Request: g.request}
}

func (g *guard) configure(data []byte) error {
	g.Bits, g.Lifetime, g.Cookie = 18, "1h", "pow"
	if err := config.Unmarshal(data, g); err != nil {
		return err
	}
	var err error
	if g.lifetime, err = time.ParseDuration(g.Lifetime); err != nil || g.lifetime < time.Minute || g.lifetime > 30*24*time.Hour {
		return fmt.Errorf("lifetime is %q, want a time like 90m, of 1m to 720h", g.Lifetime)
	}
	if g.Bits < 8 || g.Bits > 26 {
		return fmt.Errorf("bits is %d, want 8 to 26", g.Bits)
	}
	if g.Cookie == "" || strings.ContainsFunc(g.Cookie, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	}) {
		return fmt.Errorf("cookie is %q, want a name of letters, digits, - and _", g.Cookie)
	}
	for _, p := range g.Except.Paths {
		if !strings.HasPrefix(p, "/") {
			return fmt.Errorf("except: the path %q does not begin with a slash", p)
		}
	}
	if g.key == nil {
		if g.key, err = proxy.Secret("key"); err != nil {
			return fmt.Errorf("the secret \"key\" cannot be had: %w", err)
		}
	}
	if len(g.key) < minKey {
		return fmt.Errorf("the secret \"key\" has %d bytes, want at least %d", len(g.key), minKey)
	}
	g.makePage()
	return g.defineMetrics()
}

func (g *guard) makePage() {
	g.page = strings.Split(strings.NewReplacer("{{bits}}", strconv.Itoa(g.Bits), "{{cookie}}", g.Cookie,
		"{{age}}", strconv.Itoa(int(g.lifetime.Seconds())), "{{challenge}}", "{{}}", "{{minute}}", "{{}}").Replace(page), "{{}}")
	g.policy = "default-src 'none'; script-src " + digest(page, "script") + "; style-src " + digest(page, "style") +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// digest returns what allows an element of the page in a policy (CSP Level 3, section
// 2.3.1).
func digest(page, element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (g *guard) defineMetrics() error {
	for result, c := range map[string]*proxy.Counter{"passed": &g.passed, "exempt": &g.exempt, "challenged": &g.challenged, "wrong": &g.wrong} {
		var err error
		*c, err = proxy.NewCounter("pow_requests_total", proxy.Field{Name: "result", Value: result})
		if err != nil && !errors.Is(err, proxy.Unavailable) { // a test has none
			return fmt.Errorf("the metric pow_requests_total: %w", err)
		}
	}
	return nil
}

func (g *guard) request(x *sdk.Exchange) sdk.Verdict {
	client, err := netip.ParseAddrPort(x.Request.Client())
	if err != nil {
		sdk.Log(sdk.Error, "the client's address cannot be read: "+err.Error())
		return x.Answer(403, "403 Forbidden\n")
	}
	c := challenger{g.key, x.Request.Fields.Get("Host"), network(client.Addr()), g.Bits}
	minute := time.Now().Unix() / 60
	shown := x.Request.Cookie(g.Cookie)
	switch {
	case g.exempts(client.Addr(), x.Request.Path()):
		g.exempt.Add(1)
	case shown != "" && c.accepts(shown, minute, int64(g.lifetime/time.Minute)):
		g.passed.Add(1)
	default:
		if shown == "" {
			g.challenged.Add(1)
		} else {
			g.wrong.Add(1)
		}
		return g.challenge(x, c.challenge(minute), minute)
	}
	if shown != "" {
		hide(x.Request.Fields, g.Cookie)
	}
	return sdk.Next
}

// exempts reports whether a client need not show a proof for a path.
func (g *guard) exempts(client netip.Addr, encoded string) bool {
	for _, n := range g.Except.Networks {
		if n.Contains(client.Unmap()) {
			return true
		}
	}
	decoded, err := url.PathUnescape(encoded)
	if err != nil || strings.ContainsAny(decoded, `\;%`) || path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/" {
		return false // it may lead elsewhere than it says, as /public/../private does
	}
	for _, p := range g.Except.Paths {
		if start, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(decoded, start) || decoded == p {
			return true
		}
	}
	return false
}

// challenge answers a request that shows no proof: browsers with a page that makes
// one, all others with what is to be done.
func (g *guard) challenge(x *sdk.Exchange, challenge string, minute int64) sdk.Verdict {
	f, at := x.Response.Fields, strconv.FormatInt(minute, 10)
	x.Response.SetStatus(403)
	f.Set("Cache-Control", "no-store")
	f.Set("X-Content-Type-Options", "nosniff")
	f.Set("X-Robots-Tag", "noindex")
	method := x.Request.Method()
	if (method == "GET" || method == "HEAD") && strings.Contains(x.Request.Fields.Get("Accept"), "text/html") {
		f.Set("Content-Type", "text/html; charset=utf-8")
		f.Set("Content-Security-Policy", g.policy)
		f.Set("Referrer-Policy", "same-origin")
		x.Response.Body.WriteString(g.page[0] + challenge + g.page[1] + at + g.page[2])
		return sdk.Stop
	}
	f.Set("Content-Type", "application/problem+json") // RFC 9457
	fmt.Fprintf(x.Response.Body, `{"title":"Proof of work required","status":403,`+
		`"detail":"Find a number N for which SHA-256 of CHALLENGE:N begins with the given count of zero bits, and send the cookie.",`+
		`"challenge":"%s","bits":%d,"cookie":"%s=%s.N","max-age":%d}`+"\n", challenge, g.Bits, g.Cookie, at, int(g.lifetime.Seconds()))
	return sdk.Stop
}

// hide takes a cookie off a request: it is none of the origin's business, and would
// keep caches from seeing that requests are alike.
func hide(f sdk.Fields, name string) {
	lines := f.Values("Cookie")
	f.Del("Cookie")
	for _, line := range lines {
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			if n, _, _ := strings.Cut(pair, "="); n != name && pair != "" {
				kept = append(kept, pair)
			}
		}
		if len(kept) > 0 {
			f.Add("Cookie", strings.Join(kept, "; ")) // RFC 6265, section 4.2.1
		}
	}
}
