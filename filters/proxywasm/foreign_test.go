package proxywasm

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// callForeign calls a foreign function as a guest does.
func callForeign(v *vm, name string, arguments []byte) ([]byte, status) {
	copy(v.in.Read(2048, 100), name)
	copy(v.in.Read(4096, uint32(len(arguments))), arguments)
	if st := callHost(v, "proxy_call_foreign_function", 2048, uint64(len(name)), 4096, uint64(len(arguments)), 1024, 1028); st != statusOK {
		return nil, st
	}
	return bytes.Clone(given(v)), statusOK
}

func TestForeignFunctions(t *testing.T) {
	f := loadGuestIn(t, "-", Config{Body: 1000})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	_, v := enterHost(t, f, x)
	for name, want := range map[string]status{"none": notFound, "": notFound, "expr_create": unimplemented, "expr_evaluate": unimplemented, "expr_delete": unimplemented,
		"set_envoy_filter_state": unimplemented, "declare_property": unimplemented, "sign": unimplemented, "clear_route_cache": statusOK} {
		if got, st := callForeign(v, name, nil); st != want || len(got) != 0 {
			t.Errorf("%s: %q, status %d, not %d", name, got, st, want)
		}
	}
	text := bytes.Repeat([]byte("text"), 200)
	small, st := callForeign(v, "compress", text)
	if st != statusOK || len(small) > 100 {
		t.Errorf("%d bytes, status %d", len(small), st)
	}
	r, err := zlib.NewReader(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, text) {
		t.Errorf("%q, %v", b, err)
	}
	if b, st := callForeign(v, "uncompress", small); st != statusOK || !bytes.Equal(b, text) {
		t.Errorf("%q, status %d", b, st)
	}
	var bomb bytes.Buffer
	w := zlib.NewWriter(&bomb)
	w.Write(make([]byte, 1001))
	w.Close()
	noise := make([]byte, 1000)
	rand.Read(noise)
	for _, c := range []struct {
		name      string
		arguments []byte
		want      status
	}{
		{"uncompress", bomb.Bytes(), serializationFailure},
		{"uncompress", small[:len(small)-1], serializationFailure},
		{"uncompress", nil, serializationFailure},
		{"uncompress", []byte("no such format"), serializationFailure},
		{"compress", noise, serializationFailure},
		{"compress", make([]byte, 1001), badArgument},
		{"verify_signature", nil, badArgument},
		{"verify_signature", []byte{8}, badArgument},
	} {
		if _, st := callForeign(v, c.name, c.arguments); st != c.want {
			t.Errorf("%s of %d bytes: status %d, not %d", c.name, len(c.arguments), st, c.want)
		}
	}
}

// message returns a message in protobuf of fields that are bytes, of which none is empty.
func message(fields ...[]byte) (b []byte) {
	for i, f := range fields {
		if len(f) > 0 {
			b = append(b, byte(i+1)<<3|2)
			b = binary.AppendUvarint(b, uint64(len(f)))
			b = append(b, f...)
		}
	}
	return b
}

func TestVerifySignature(t *testing.T) {
	text := []byte("text")
	sum := sha256.Sum256(text)
	of := func(key any) []byte {
		b, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byRSA, err := rsa.SignPKCS1v15(rand.Reader, r, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	byEC, err := ecdsa.SignASN1(rand.Reader, e, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	hash := []byte("sha256")
	armored := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: of(&r.PublicKey)})
	refused := func(why string) string { return string(message(nil, []byte(why))) }
	const right = "\x08\x01"
	for _, c := range []struct {
		name string
		in   []byte
		want string
		st   status
	}{
		{"RSA", message(hash, of(&r.PublicKey), byRSA, text), right, statusOK},
		{"EC", message([]byte("SHA256"), of(&e.PublicKey), byEC, text), right, statusOK},
		{"PEM", message(hash, nil, byRSA, text, armored), right, statusOK},
		{"another text", message(hash, of(&r.PublicKey), byRSA, []byte("more")), refused("the signature does not match"), statusOK},
		{"another text, EC", message(hash, of(&e.PublicKey), byEC, nil), refused("the signature does not match"), statusOK},
		{"another hash", message([]byte("sha1"), of(&r.PublicKey), byRSA, text), refused("the signature does not match"), statusOK},
		{"no hash", message(nil, of(&r.PublicKey), byRSA, text), refused(`there is no hash function ""`), statusOK},
		{"another key", message(hash, of(ed), byRSA, text), refused("the key is neither of RSA nor of an elliptic curve"), statusOK},
		{"two keys", message(hash, of(&r.PublicKey), byRSA, text, armored), "", badArgument},
		{"no key", message(hash, nil, byRSA, text), "", badArgument},
		{"no PEM", message(hash, nil, byRSA, text, []byte("what")), "", badArgument},
		{"no DER", message(hash, []byte("what"), byRSA, text), "", badArgument},
	} {
		if got, st := verifySignature(c.in, 0); string(got) != c.want || st != c.st {
			t.Errorf("%s: %q, status %d", c.name, got, st)
		}
	}
}

// What guests give foreign functions is read within its bounds.
func FuzzForeign(f *testing.F) {
	f.Add("uncompress", []byte{0x78, 0x9c, 3, 0, 0, 0, 0, 1})
	f.Add("compress", []byte("a"))
	f.Add("verify_signature", message([]byte("sha256"), []byte("key"), []byte("signature"), []byte("text")))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		call, ok := foreignFunctions[name]
		if !ok {
			return
		}
		const limit = 1000
		got, st := call(b, limit)
		if st != statusOK {
			return
		}
		if len(got) > limit {
			t.Errorf("%s: %d bytes", name, len(got))
		}
		if name == "compress" {
			if again, st := uncompress(got, int64(len(b))); st != statusOK || !bytes.Equal(again, b) {
				t.Errorf("%q, status %d", again, st)
			}
		}
	})
}

// A call of gRPC is answered in its way, and no other request is.
func TestLocalResponsesOfGRPC(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	long := bytes.Repeat([]byte("%"), 2000)
	for _, c := range []struct {
		method, contentType string
		code                uint64
		body                string
		fields              []edge.Field
		rpc                 int64 // the status that the guest gives
		status              int   // what the client gets
		is, message         string
	}{
		{"POST", "application/grpc", 403, "no, caf\u00e9", nil, -1, 200, "7", "no, caf%C3%A9"},
		{"POST", "application/grpc+proto", 403, "no", nil, 5, 200, "5", "no"},
		{"POST", "application/grpc", 200, "", nil, 0, 200, "0", ""},
		{"POST", "application/grpc", 429, "no", []edge.Field{{Name: "grpc-status", Value: "8"}, {Name: "content-type", Value: "text/plain"}}, 5, 200, "8", "no"},
		{"HEAD", "application/grpc", 503, "no", nil, -1, 200, "14", ""},
		{"POST", "application/grpc", 500, string(long), nil, -1, 200, "2", string(bytes.Repeat([]byte("%25"), 1024))},
		{"POST", "application/grpc-web", 403, "no", nil, 5, 403, "", ""},
		{"POST", "", 403, "no", nil, 5, 403, "", ""},
	} {
		x := request1(c.method, "/", nil, 0)
		if c.contentType != "" {
			x.Request.Fields.Add("Content-Type", c.contentType)
		}
		s, v := enterHost(t, f, x)
		list := listOf(append(c.fields, edge.Field{Name: "x-a", Value: "b"})...)
		copy(v.in.Read(2048, uint32(len(list))), list)
		copy(v.in.Read(4096, uint32(len(c.body))), c.body)
		st := callHost(v, "proxy_send_local_response", c.code, 0, 0, 4096, uint64(len(c.body)), 2048, uint64(len(list)), uint64(c.rpc))
		if st != statusOK || !s.answer() {
			t.Errorf("status %d", st)
		}
		r := &x.Response
		if r.Status != c.status || r.Fields.Get("grpc-status") != c.is || r.Fields.Get("grpc-message") != c.message || r.Fields.Get("x-a") != "b" {
			t.Errorf("%s %s %d: %d %v", c.method, c.contentType, c.code, r.Status, r.Fields)
		}
		if c.status == 200 && (r.Body != nil || r.Length != 0 || r.Fields.Get("content-type") != "application/grpc") {
			t.Errorf("%s %d: %d bytes of %s", c.method, c.code, r.Length, r.Fields.Get("content-type"))
		}
		x.End()
	}
}
