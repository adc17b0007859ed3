// Auth lets only requests through that carry an API key or a signed token. See
// README.md.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
)

func init() {
	a := new(auth)
	sdk.Handle(a.filter())
}

func main() {}

// auth is the filter with its configuration.
type auth struct {
	Keys   map[string]string `json:"keys"`   // user to API key
	Secret string            `json:"secret"` // of tokens
}

func (a *auth) filter() sdk.Filter {
	return sdk.Filter{Configure: a.configure, Request: a.request}
}

func (a *auth) configure(data []byte) error {
	if err := config.Unmarshal(data, a); err != nil {
		return err
	}
	if len(a.Keys) == 0 && a.Secret == "" {
		return errors.New("want keys, a secret, or both")
	}
	for user, key := range a.Keys {
		if key == "" {
			return fmt.Errorf("the key of %q is empty", user)
		}
	}
	return nil
}

func (a *auth) request(x *sdk.Exchange) sdk.Verdict {
	f := x.Request.Fields
	f.Del("X-User") // only we say who somebody is
	user, err := a.user(f.Get("X-Api-Key"), f.Get("Authorization"), time.Now())
	if err != nil {
		sdk.Log(sdk.Debug, "refused: "+err.Error())
		x.Response.Fields.Set("WWW-Authenticate", `Bearer realm="sluice"`)
		return x.Answer(401, "401 Unauthorized\n")
	}
	f.Set("X-User", user)
	f.Del("X-Api-Key") // the upstream need not know it
	return sdk.Next
}

// user returns whose key or authorization it is.
func (a *auth) user(key, authorization string, now time.Time) (string, error) {
	if key != "" {
		for user, want := range a.Keys {
			if same(key, want) {
				return user, nil
			}
		}
		return "", errors.New("unknown key")
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || a.Secret == "" { // RFC 6750, section 2.1
		return "", errors.New("neither key nor token")
	}
	return verify(token, a.Secret, now)
}

// verify returns the user of a token that sign has made.
func verify(token, secret string, now time.Time) (string, error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !same(token[i+1:], signature(token[:i], secret)) {
		return "", errors.New("wrong signature")
	}
	user, until, _ := strings.Cut(token[:i], ".")
	expiry, err := strconv.ParseInt(until, 10, 64)
	if err != nil || user == "" {
		return "", errors.New("malformed token")
	}
	if now.Unix() >= expiry {
		return "", errors.New("expired token")
	}
	return user, nil
}

// sign returns USER.EXPIRY.SIGNATURE, which is valid until the Unix time expiry.
func sign(user string, expiry int64, secret string) string {
	payload := user + "." + strconv.FormatInt(expiry, 10)
	return payload + "." + signature(payload, secret)
}

func signature(payload, secret string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// same compares without telling by its time how much is equal.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
