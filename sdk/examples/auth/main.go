// Auth lets only requests through that carry an API key. The configuration has a
// user and a key on each line.
package main

import (
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
)

func init() {
	a := new(auth)
	sdk.Handle(sdk.Filter{Configure: a.configure, Request: a.request})
}

func main() {}

type auth struct {
	keys []key
}

type key struct{ user, key string }

func (a *auth) configure(config []byte) error {
	for line := range strings.SplitSeq(string(config), "\n") {
		if line == "" {
			continue
		}
		user, k, _ := strings.Cut(line, " ")
		if user == "" || k == "" {
			return errors.New("want a user, a space and a key on each line")
		}
		a.keys = append(a.keys, key{user, k})
	}
	if a.keys == nil {
		return errors.New("want a user, a space and a key on each line")
	}
	return nil
}

func (a *auth) request(x *sdk.Exchange) sdk.Verdict {
	f := x.Request.Fields
	f.Del("X-User") // only we say who somebody is
	got := f.Get("X-Api-Key")
	for _, k := range a.keys {
		if subtle.ConstantTimeCompare([]byte(got), []byte(k.key)) == 1 {
			f.Set("X-User", k.user)
			f.Del("X-Api-Key") // the origin need not know it
			return sdk.Next
		}
	}
	x.Response.Fields.Set("WWW-Authenticate", "ApiKey")
	return x.Answer(401, "401 Unauthorized\n")
}
