package proxywasm

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // linked, as are the next two, for crypto.Hash
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// foreignFunctions are those of Envoy that make sense elsewhere. They return what the
// guest is given; limit is how much that may be, in bytes.
var foreignFunctions = map[string]func(arguments []byte, limit int64) ([]byte, status){
	"compress":          compress,
	"uncompress":        uncompress,
	"verify_signature":  verifySignature,
	"clear_route_cache": func([]byte, int64) ([]byte, status) { return nil, statusOK }, // the route is looked up again if the request has changed
}

// foreignElsewhere are the others that Envoy has: of its filter state, its expressions,
// and private keys.
var foreignElsewhere = map[string]bool{
	"declare_property":       true,
	"expr_create":            true,
	"expr_delete":            true,
	"expr_evaluate":          true,
	"set_envoy_filter_state": true,
	"sign":                   true,
}

func (a *args) foreign() status {
	name, arguments := a.view(0), a.bytes(2)
	if a.bad || !a.room(4, 2, 4) {
		return invalidMemory
	}
	f := a.v.f
	call, ok := foreignFunctions[name]
	switch {
	case ok && int64(len(arguments)) > f.cfg.Body:
		return badArgument
	case ok:
		result, st := call(arguments, f.cfg.Body)
		if st != statusOK {
			return st
		}
		return a.give(4, result)
	}
	f.log.Log(slog.LevelWarn, "filter calls a foreign function that there is none of", "function", brief(name))
	if foreignElsewhere[name] {
		return unimplemented
	}
	return notFound
}

// compress is compression in the format of RFC 1950.
func compress(p []byte, limit int64) ([]byte, status) {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(p) // to memory: it cannot fail
	w.Close()
	if int64(b.Len()) > limit {
		return nil, serializationFailure
	}
	return b.Bytes(), statusOK
}

// uncompress is the other way.
func uncompress(p []byte, limit int64) ([]byte, status) {
	r, err := zlib.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, serializationFailure
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil || int64(len(b)) > limit {
		return nil, serializationFailure
	}
	return b, statusOK
}

var hashes = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

// verifySignature takes Envoy's VerifySignatureArguments, and returns its
// VerifySignatureResult.
func verifySignature(b []byte, _ int64) ([]byte, status) {
	var hash string
	var der, text, armored, signature []byte
	ok := eachField(b, func(field uint64, value []byte) bool {
		switch field {
		case 1:
			hash = string(value)
		case 2:
			der = value
		case 3:
			signature = value
		case 4:
			text = value
		case 5:
			armored = value
		}
		return true
	})
	if !ok || (len(der) == 0) == (len(armored) == 0) {
		return nil, badArgument
	}
	if len(armored) > 0 {
		block, _ := pem.Decode(armored)
		if block == nil {
			return nil, badArgument
		}
		der = block.Bytes
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, badArgument
	}
	if err := verify(key, strings.ToLower(hash), text, signature); err != nil {
		result := binary.AppendUvarint([]byte{2<<3 | 2}, uint64(len(err.Error()))) // the field error
		return append(result, err.Error()...), statusOK
	}
	return []byte{1 << 3, 1}, statusOK // the field result is true
}

// verify verifies a signature by PKCS #1 v1.5 (RFC 8017, section 8.2) or ECDSA.
func verify(key any, name string, text, signature []byte) error {
	hash, ok := hashes[name]
	if !ok {
		return fmt.Errorf("there is no hash function %.20q", name)
	}
	h := hash.New()
	h.Write(text)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, hash, h.Sum(nil), signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, h.Sum(nil), signature) {
			return nil
		}
	default:
		return errors.New("the key is neither of RSA nor of an elliptic curve")
	}
	return errors.New("the signature does not match")
}
