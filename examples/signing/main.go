// Signing signs requests for the origin, and lets only requests through that are
// signed, with HTTP Message Signatures (RFC 9421). See README.md.
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

func init() { sdk.Handle(new(filter).filter()) }

func main() {}

// filter is the filter with its configuration.
type filter struct {
	Verify *verifier `json:"verify"` // requests of clients
	Sign   *signer   `json:"sign"`   // requests for the origin

	secret func(name string) ([]byte, error)
}

// signer signs requests.
type signer struct {
	Key        string   `json:"key"`        // secret
	Algorithm  string   `json:"algorithm"`  // hmac-sha256 or ed25519
	KeyID      string   `json:"keyid"`      // by which the origin knows the key
	Label      string   `json:"label"`      // of the signature; default sluice
	Tag        string   `json:"tag"`        // what the signature is for; default none
	Components []string `json:"components"` // that are signed
	Expires    string   `json:"expires"`    // how long a signature holds; default 1m

	key     *key
	expires time.Duration
}

// signed are the components that are signed, or must be, unless the configuration says
// otherwise: all that says what is asked for.
var signed = []string{"@method", "@authority", "@path", "@query", "content-digest"}

func (f *filter) filter() sdk.Filter {
	return sdk.Filter{Configure: f.configure, Request: f.request}
}

func (f *filter) configure(data []byte) error {
	if err := config.Unmarshal(data, f); err != nil {
		return err
	}
	if f.secret == nil {
		f.secret = proxy.Secret
	}
	if f.Sign == nil && f.Verify == nil {
		return errors.New("want sign, verify, or both")
	}
	if f.Verify != nil {
		if err := f.Verify.configure(f.secret); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	if f.Sign != nil {
		if err := f.Sign.configure(f.secret); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	return nil
}

func (s *signer) configure(secret func(string) ([]byte, error)) (err error) {
	if s.Label == "" {
		s.Label = "sluice"
	}
	p := &parser{s.Label}
	if label, err := p.key(); err != nil || label != s.Label {
		return fmt.Errorf("label is %q, want a-z, 0-9, _ and -", s.Label)
	}
	for _, text := range []string{s.KeyID, s.Tag} {
		if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
			return fmt.Errorf("%q is more than visible characters of ASCII", text)
		}
	}
	if s.KeyID == "" {
		return errors.New("keyid is missing")
	}
	if len(s.Components) == 0 {
		s.Components = append(slices.Clone(signed), "date", strings.ToLower(signerField))
	}
	if err := checkComponents(s.Components); err != nil {
		return err
	}
	if s.expires, err = duration("expires", s.Expires, time.Minute); err != nil {
		return err
	}
	if s.key, err = readKey(secret, s.Key, s.Algorithm); err != nil {
		return err
	}
	if s.key.algorithm == edDSA && s.key.private == nil {
		return fmt.Errorf("the secret %q is a public key, which cannot sign", s.Key)
	}
	return nil
}

// readKey reads a key out of a secret.
func readKey(secret func(string) ([]byte, error), name, algorithm string) (*key, error) {
	data, err := secret(name)
	if err != nil {
		return nil, fmt.Errorf("the secret %q cannot be had: %w", name, err)
	}
	k, err := parseKey(algorithm, data)
	if err != nil {
		return nil, fmt.Errorf("the secret %q: %w", name, err)
	}
	return k, nil
}

func duration(name, text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > 24*time.Hour {
		return 0, fmt.Errorf("%s is %q, want a time like 90s, of 1s to 24h", name, text)
	}
	return d, nil
}

func (f *filter) request(x *sdk.Exchange) sdk.Verdict {
	c, now := &content{x: x}, time.Now()
	x.Request.Fields.Del(signerField) // only we say who has signed
	if v := f.Verify; v != nil {
		keyid, err := v.verify(x, c, now)
		if errors.Is(err, errStore) {
			sdk.Log(sdk.Error, err.Error())
			return x.Answer(503, "503 Service Unavailable\n")
		}
		if err != nil {
			sdk.Log(sdk.Debug, "refused: "+err.Error())
			v.ask(x)
			return x.Answer(401, "401 Unauthorized: "+err.Error()+"\n")
		}
		x.Request.Fields.Set(signerField, keyid)
	}
	if f.Sign == nil {
		return sdk.Next
	}
	if err := f.Sign.sign(x, c, now); err != nil {
		sdk.Log(sdk.Error, "the request cannot be signed: "+err.Error())
		return x.Answer(500, "500 Internal Server Error\n")
	}
	return sdk.Next
}

// sign signs a request, in place of all signatures that it had.
func (s *signer) sign(x *sdk.Exchange, c *content, now time.Time) error {
	f := x.Request.Fields
	if slices.Contains(s.Components, "content-digest") {
		field, err := c.digest()
		if err != nil {
			return err
		}
		f.Set("Content-Digest", field)
	}
	if slices.Contains(s.Components, "date") && f.Get("Date") == "" {
		f.Set("Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")) // RFC 9110, section 5.6.7
	}
	// What a request lacks cannot be signed; that it lacks it is not hidden by that,
	// since the origin knows what must be signed.
	components := slices.DeleteFunc(slices.Clone(s.Components), func(name string) bool {
		return name[0] != '@' && len(f.Values(name)) == 0
	})
	created := now.Unix()
	params := []param{{"created", created}, {"expires", created + int64(s.expires/time.Second)}, {"keyid", s.KeyID}, {"alg", s.Algorithm}}
	if s.Tag != "" {
		params = append(params, param{"tag", s.Tag})
	}
	input := serialize(components, params)
	text, err := messageOf(&x.Request).base(components, input)
	if err != nil {
		return err
	}
	f.Set("Signature-Input", s.Label+"="+input)
	f.Set("Signature", s.Label+"=:"+base64.StdEncoding.EncodeToString(s.key.sign(text))+":")
	return nil
}
