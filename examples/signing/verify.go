package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// verifier lets only requests through that are signed.
type verifier struct {
	Keys       map[string]secretKey `json:"keys"`       // keyid to key
	Components []string             `json:"components"` // that must be signed
	Tag        string               `json:"tag"`        // that a signature must have; default any
	MaxAge     string               `json:"max-age"`    // of a signature; default 5m
	Once       string               `json:"once"`       // namespace in which signatures are kept, so that none is taken twice; default none

	keys   map[string]*key
	maxAge time.Duration
	store  store // of Once
}

// secretKey is where a key is.
type secretKey struct {
	Key       string `json:"key"`       // secret
	Algorithm string `json:"algorithm"` // hmac-sha256 or ed25519
}

// store is a [proxy.Namespace], or in a test a map.
type store interface {
	Set(key string, value []byte, ttl time.Duration, version int64) (int64, error)
}

// signerField tells the origin who has signed.
const signerField = "X-Signed-By"

// skew is how far the clock of who signs may be ahead.
const skew = 30 * time.Second

// errStore is that a signature could not be kept.
var errStore = errors.New("the store of signatures has failed")

func (v *verifier) configure(secret func(string) ([]byte, error)) (err error) {
	if len(v.Keys) == 0 {
		return errors.New("there are no keys")
	}
	v.keys = map[string]*key{}
	for id, k := range v.Keys {
		if v.keys[id], err = readKey(secret, k.Key, k.Algorithm); err != nil {
			return fmt.Errorf("keys: %s: %w", id, err)
		}
	}
	if len(v.Components) == 0 {
		v.Components = signed
	}
	if err := checkComponents(v.Components); err != nil {
		return err
	}
	if v.Once != "" && v.store == nil {
		v.store = proxy.Namespace(v.Once)
	}
	v.maxAge, err = duration("max-age", v.MaxAge, 5*time.Minute)
	return err
}

// ask asks for a signature (RFC 9421, section 5.1).
func (v *verifier) ask(x *sdk.Exchange) {
	params := []param{{"created", true}, {"keyid", true}}
	if v.Tag != "" {
		params = append(params, param{"tag", v.Tag})
	}
	x.Response.Fields.Set("Accept-Signature", "sig="+serialize(v.Components, params))
	x.Response.Fields.Set("Cache-Control", "no-store")
}

// verify returns by which key a request is signed, or why that is not good enough
// (RFC 9421, section 3.2). One good signature is enough.
func (v *verifier) verify(x *sdk.Exchange, c *content, now time.Time) (keyid string, err error) {
	f := x.Request.Fields
	input := join(f.Values("Signature-Input"))
	if input == "" {
		return "", errors.New("the request is not signed")
	}
	inputs, err := parseDictionary(input)
	if err != nil {
		return "", fmt.Errorf("the field Signature-Input: %w", err)
	}
	signatures, err := parseDictionary(join(f.Values("Signature")))
	if err != nil {
		return "", fmt.Errorf("the field Signature: %w", err)
	}
	r := messageOf(&x.Request)
	var problem error
	for _, m := range inputs {
		i := slices.IndexFunc(signatures, func(s member) bool { return s.name == m.name })
		if i < 0 {
			problem = fmt.Errorf("there is no signature %q", m.name)
			continue
		}
		if keyid, problem = v.check(r, c, now, m, signatures[i].bytes); problem == nil {
			break
		}
		problem = fmt.Errorf("the signature %q: %w", m.name, problem)
	}
	if problem != nil {
		return "", problem
	}
	return keyid, nil
}

// check checks a signature, and returns by which key it was made.
func (v *verifier) check(r *message, c *content, now time.Time, m member, signature []byte) (keyid string, err error) {
	p, err := v.params(m, now)
	if err != nil {
		return "", err
	}
	if err := checkComponents(m.items); err != nil {
		return "", err
	}
	text, err := r.base(m.items, serialize(m.items, m.params))
	if err != nil {
		return "", err
	}
	if !v.keys[p.keyid].verifies(text, signature) {
		return "", errors.New("it is not that of the request")
	}
	// A signature covers content only by its digest, which must then be right.
	if err := c.check(); err != nil {
		return "", err
	}
	for _, name := range v.Components {
		if !slices.Contains(m.items, name) && (name != "content-digest" || c.size > 0) {
			return "", fmt.Errorf("it does not cover %q", name)
		}
	}
	return p.keyid, v.keep(text, p.created, now)
}

// signatureParams are the parameters of a signature that count here.
type signatureParams struct {
	keyid   string
	created time.Time
}

// params checks the parameters of a signature (RFC 9421, section 2.3).
func (v *verifier) params(m member, now time.Time) (signatureParams, error) {
	values := map[string]any{}
	for _, p := range m.params {
		values[p.name] = p.value
	}
	keyid, _ := values["keyid"].(string)
	k := v.keys[keyid]
	if !m.isList || k == nil {
		return signatureParams{}, fmt.Errorf("the key %q is not known", keyid)
	}
	// Only what is configured says of what algorithm a key is: section 3.2, step 6.
	if alg, ok := values["alg"]; ok && alg != k.algorithm {
		return signatureParams{}, fmt.Errorf("alg is %v, and the key %q is for %s", alg, keyid, k.algorithm)
	}
	if tag, _ := values["tag"].(string); v.Tag != "" && tag != v.Tag {
		return signatureParams{}, fmt.Errorf("tag is %q, want %q", tag, v.Tag)
	}
	seconds, ok := values["created"].(int64)
	created := time.Unix(seconds, 0)
	switch {
	case !ok:
		return signatureParams{}, errors.New("created is missing")
	case created.After(now.Add(skew)):
		return signatureParams{}, errors.New("created is in the future")
	case created.Before(now.Add(-v.maxAge)):
		return signatureParams{}, fmt.Errorf("it is older than %v", v.maxAge)
	}
	if expires, ok := values["expires"]; ok {
		if at, ok := expires.(int64); !ok || now.Unix() >= at {
			return signatureParams{}, errors.New("it has expired")
		}
	}
	return signatureParams{keyid, created}, nil
}

// keep keeps what was signed until it is too old, and returns an error if it was
// taken before. Who signs the same twice in a second adds a nonce.
func (v *verifier) keep(text string, created, now time.Time) error {
	if v.Once == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(text))
	_, err := v.store.Set(hex.EncodeToString(sum[:]), nil, created.Add(v.maxAge).Sub(now)+time.Second, proxy.Absent)
	switch {
	case errors.Is(err, proxy.Conflict):
		return errors.New("it was used before")
	case err != nil:
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return nil
}
