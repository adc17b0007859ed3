package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// minToken is how short the token may be, in bytes: it is all that keeps others out.
const minToken = 16

func (f *flags) configureAdmin() error {
	switch {
	case f.Admin == "":
		return nil
	case !strings.HasPrefix(f.Admin, "/") || strings.HasSuffix(f.Admin, "/") || strings.ContainsAny(f.Admin, "?# "):
		return fmt.Errorf("admin is %q, want a path such as /_flags", f.Admin)
	}
	if f.token == nil {
		token, err := proxy.Secret("token")
		if err != nil {
			return fmt.Errorf("admin wants a token, and the secret \"token\" cannot be had: %w", err)
		}
		f.token = token
	}
	if len(f.token) < minToken {
		return fmt.Errorf("the secret \"token\" has %d bytes, want at least %d", len(f.token), minToken)
	}
	return nil
}

// administer answers a request for the path of Admin, of which rest is the end.
func (f *flags) administer(x *sdk.Exchange, rest string) sdk.Verdict {
	x.Response.Fields.Set("Cache-Control", "no-store")
	if !f.authorized(x.Request.Fields.Get("Authorization")) {
		x.Response.Fields.Set("WWW-Authenticate", `Bearer realm="feature flags"`)
		return x.Answer(401, "401 Unauthorized: want the token of the flags\n")
	}
	method := x.Request.Method()
	if rest == "" {
		if method != "GET" && method != "HEAD" {
			return notAllowed(x, "GET, HEAD")
		}
		return f.show(x)
	}
	l := f.find(rest[1:])
	if l == nil {
		return x.Answer(404, "404 Not Found: sluice.yaml has no such flag\n")
	}
	switch method {
	case "GET", "HEAD":
		text, version, err := f.store.Get(l.name)
		if errors.Is(err, proxy.None) {
			return x.Answer(200, l.rule.text+"\n")
		}
		if err != nil {
			return broken(x, err)
		}
		x.Response.Fields.Set("ETag", etag(version))
		return x.Answer(200, string(text)+"\n")
	case "PUT":
		return f.put(x, l)
	case "DELETE":
		version, ok := f.wanted(x, l)
		if !ok {
			return preconditionFailed(x)
		}
		err := f.store.Delete(l.name, version)
		switch {
		case errors.Is(err, proxy.Conflict), errors.Is(err, proxy.None) && version != proxy.Always:
			return preconditionFailed(x)
		case err != nil && !errors.Is(err, proxy.None):
			return broken(x, err)
		}
		sdk.Log(sdk.Info, "flag "+l.name+" is as the file has it: "+l.rule.text)
		x.Response.SetStatus(204)
		return sdk.Stop
	}
	return notAllowed(x, "GET, HEAD, PUT, DELETE")
}

// authorized compares without telling by its time how much is right.
func (f *flags) authorized(authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256(f.token)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer") // RFC 6750, section 2.1
}

func (f *flags) find(name string) *flag {
	for _, l := range f.list {
		if l.name == name {
			return l
		}
	}
	return nil
}

// show answers with all flags and their rules.
func (f *flags) show(x *sdk.Exchange) sdk.Verdict {
	type entry struct {
		Rule    string `json:"rule"`              // that holds
		File    string `json:"file"`              // that of sluice.yaml
		Version int64  `json:"version,omitempty"` // of the rule; 0 if it is that of the file
	}
	all := map[string]entry{}
	for _, l := range f.list {
		e := entry{l.rule.text, l.rule.text, 0}
		text, version, err := f.store.Get(l.name)
		if err != nil && !errors.Is(err, proxy.None) {
			return broken(x, err)
		}
		if err == nil {
			e.Rule, e.Version = string(text), version
		}
		all[l.name] = e
	}
	list, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return broken(x, err)
	}
	x.Response.Fields.Set("Content-Type", "application/json")
	x.Response.Body.Write(append(list, '\n'))
	return sdk.Stop
}

// put changes the rule of a flag.
func (f *flags) put(x *sdk.Exchange, l *flag) sdk.Verdict {
	text, err := io.ReadAll(io.LimitReader(x.Request.Body, maxRule+1))
	if err != nil {
		return x.Answer(400, "400 Bad Request: the rule is not complete\n")
	}
	r, err := parse(string(text))
	if err == nil {
		err = r.knows(f.facts)
	}
	if err != nil {
		return x.Answer(400, "400 Bad Request: "+err.Error()+"\n")
	}
	ttl, err := lifetime(x.Request.Query())
	if err != nil {
		return x.Answer(400, "400 Bad Request: "+err.Error()+"\n")
	}
	version, ok := f.wanted(x, l)
	if !ok {
		return preconditionFailed(x)
	}
	version, err = f.store.Set(l.name, []byte(r.text), ttl, version)
	switch {
	case errors.Is(err, proxy.Conflict):
		return preconditionFailed(x)
	case err != nil:
		return broken(x, err)
	}
	sdk.Log(sdk.Info, "flag "+l.name+" is changed: "+r.text)
	x.Response.Fields.Set("ETag", etag(version))
	x.Response.SetStatus(204)
	return sdk.Stop
}

// lifetime reads for how long a rule is to hold; 0: until it is changed.
func lifetime(query string) (time.Duration, error) {
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("ttl") {
		return 0, err
	}
	ttl, err := time.ParseDuration(values.Get("ttl"))
	if err != nil || ttl < time.Second || ttl > 365*24*time.Hour {
		return 0, fmt.Errorf("ttl is %q, want a time like 90m, of 1s to 8760h", values.Get("ttl"))
	}
	return ttl, nil
}

// wanted returns what version a flag's rule must have to be changed (RFC 9110,
// sections 13.1.1 and 13.1.2), and false if it can have no such.
func (f *flags) wanted(x *sdk.Exchange, l *flag) (version int64, ok bool) {
	switch tag := x.Request.Fields.Get("If-Match"); tag {
	case "":
	case "*": // any that is there
		_, version, err := f.store.Get(l.name)
		return version, err == nil
	default:
		number, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
		return number, err == nil && number > 0 && tag == etag(number)
	}
	if x.Request.Fields.Get("If-None-Match") == "*" {
		return proxy.Absent, true
	}
	return proxy.Always, true
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func notAllowed(x *sdk.Exchange, methods string) sdk.Verdict {
	x.Response.Fields.Set("Allow", methods)
	return x.Answer(405, "405 Method Not Allowed: want "+methods+"\n")
}

func preconditionFailed(x *sdk.Exchange) sdk.Verdict {
	return x.Answer(412, "412 Precondition Failed: the rule was changed meanwhile\n")
}

func broken(x *sdk.Exchange, err error) sdk.Verdict {
	sdk.Log(sdk.Error, "rules cannot be read or changed: "+err.Error())
	return x.Answer(503, "503 Service Unavailable: rules cannot be read or changed now\n")
}
