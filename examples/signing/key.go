package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// The algorithms (RFC 9421, section 3.3).
const (
	hmacSHA256 = "hmac-sha256"
	edDSA      = "ed25519"
)

// key signs, verifies, or both.
type key struct {
	algorithm string
	shared    []byte             // of hmac-sha256
	private   ed25519.PrivateKey // nil if it only verifies
	public    ed25519.PublicKey
}

// minShared is how short a shared key may be, in bytes.
const minShared = 16

// What stands before the 32 bytes of a key for Ed25519 in PKCS #8 and in
// SubjectPublicKeyInfo (RFC 8410, sections 7 and 4). To read just these keeps
// crypto/x509 out of the module.
var (
	privatePrefix = []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")
	publicPrefix  = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
)

// parseKey reads a key: for hmac-sha256 any text, or "base64:" and bytes in base64;
// for ed25519 PEM as openssl writes it.
func parseKey(algorithm string, secret []byte) (*key, error) {
	k := &key{algorithm: algorithm}
	switch algorithm {
	case hmacSHA256:
		k.shared = secret
		if text, ok := bytes.CutPrefix(secret, []byte("base64:")); ok {
			shared, err := base64.StdEncoding.DecodeString(string(text))
			if err != nil {
				return nil, err
			}
			k.shared = shared
		}
		if bytes.HasPrefix(secret, []byte("-----BEGIN")) { // of another algorithm: its public half is no secret
			return nil, errors.New("want a shared key, not PEM")
		}
		if len(k.shared) < minShared {
			return nil, fmt.Errorf("it has %d bytes, want at least %d", len(k.shared), minShared)
		}
		return k, nil
	case edDSA:
		block, _ := pem.Decode(secret)
		if block == nil {
			return nil, errors.New("want a key in PEM")
		}
		if seed, ok := bytes.CutPrefix(block.Bytes, privatePrefix); ok && len(seed) == ed25519.SeedSize {
			k.private = ed25519.NewKeyFromSeed(seed)
			k.public = k.private.Public().(ed25519.PublicKey)
			return k, nil
		}
		if public, ok := bytes.CutPrefix(block.Bytes, publicPrefix); ok && len(public) == ed25519.PublicKeySize {
			k.public = public
			return k, nil
		}
		return nil, fmt.Errorf("%q is no key for Ed25519", strings.ToLower(block.Type))
	}
	return nil, fmt.Errorf("the algorithm is %q, want %s or %s", algorithm, hmacSHA256, edDSA)
}

func (k *key) sign(base string) []byte {
	if k.algorithm == edDSA {
		return ed25519.Sign(k.private, []byte(base))
	}
	h := hmac.New(sha256.New, k.shared)
	h.Write([]byte(base))
	return h.Sum(nil)
}

// verifies compares without telling by its time how much is right.
func (k *key) verifies(base string, signature []byte) bool {
	if k.algorithm == edDSA {
		return ed25519.Verify(k.public, []byte(base), signature)
	}
	return hmac.Equal(k.sign(base), signature)
}
