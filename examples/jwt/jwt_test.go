// Package jwt has no code in Go: its tests run the filter's own, and the filter as a
// module, with keys and signatures of Go's.
package jwt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// environment is that of cargo, with a toolchain that has the target: the first in the
// path, or Debian's.
func environment(t testing.TB) []string {
	t.Helper()
	for _, path := range []string{os.Getenv("PATH"), "/usr/bin:" + os.Getenv("PATH")} {
		cmd := exec.Command("sh", "-c", `command -v cargo >/dev/null && rustc --print target-libdir --target wasm32-unknown-unknown`)
		cmd.Env = append(os.Environ(), "PATH="+path)
		dir, err := cmd.Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(dir))); err == nil {
			return append(os.Environ(), "PATH="+path, "CARGO_TARGET_DIR="+t.TempDir())
		}
	}
	t.Skip("cargo and the library of wasm32-unknown-unknown are not installed (Debian: cargo rustc libstd-rust-dev-wasm32)")
	return nil
}

func run(env []string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", args, err, text)
	}
	return nil
}

// The filter's own tests.
func TestRust(t *testing.T) {
	for _, dir := range []string{"src", "../../sdk/rust/src"} { // the go command runs a test anew when what it has read changes
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(environment(t), "sh", "-c", "cargo test --offline --quiet"); err != nil { // the cargo of its path, not of ours
		t.Fatal(err)
	}
}

// built builds the module, with a feature or none, once each.
var built = map[string]func() ([]byte, error){"": builds(""), "jwks": builds("jwks")}

func builds(feature string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "jwt-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "jwt.wasm")
		if err := run(env, "sh", "build.sh", out, feature); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	})
}

// env is what built builds with.
var env []string

// module returns the module with a feature, or none.
func module(t testing.TB, feature string) []byte {
	t.Helper()
	if env == nil {
		env = environment(t)
	}
	binary, err := built[feature]()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// filter makes a filter with keys.
func filter(t testing.TB, e *wasm.Engine, keys ...key) *httpwasm.Filter {
	t.Helper()
	set := []map[string]string{}
	for _, k := range keys {
		set = append(set, k.public)
	}
	config, err := json.Marshal(map[string]any{"keys": set, "issuer": "joe", "audience": "api", "forward": false})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	f, err := httpwasm.Load(context.Background(), e, module(t, ""), httpwasm.Config{
		Config: config, Timeout: 10 * time.Second, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(f.Close)
	return f
}

// key signs, and is checked with public, a JWK.
type key struct {
	alg    string
	public map[string]string
	sign   func(message []byte) []byte
}

var encode = base64.RawURLEncoding.EncodeToString

// keys makes one of each sort, those of RSA with so many bits.
func keys(t testing.TB, sizes ...int) []key {
	t.Helper()
	var all []key
	add := func(alg string, public map[string]string, sign func(message []byte) ([]byte, error)) {
		public["kid"] = fmt.Sprint(len(all))
		all = append(all, key{alg, public, func(message []byte) []byte {
			s, err := sign(message)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}})
	}
	secret := make([]byte, 64)
	rand.Read(secret)
	add("HS256", map[string]string{"kty": "oct", "k": encode(secret)}, func(message []byte) ([]byte, error) {
		h := hmac.New(sha256.New, secret)
		h.Write(message)
		return h.Sum(nil), nil
	})
	for _, bits := range sizes {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		add("RS256", map[string]string{"kty": "RSA", "alg": "RS256", "n": encode(k.N.Bytes()), "e": "AQAB"}, func(message []byte) ([]byte, error) {
			digest := sha256.Sum256(message)
			return rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
		})
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := curve.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	add("ES256", map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}, func(message []byte) ([]byte, error) {
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, curve, digest[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	})
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		add(alg, map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": encode(public)}, func(message []byte) ([]byte, error) {
			return ed25519.Sign(private, message), nil
		})
	}
	return all
}

// message is what is signed of a token.
func (k key) message(subject string) string {
	header := fmt.Sprintf(`{"alg":%q,"kid":%q}`, k.alg, k.public["kid"])
	claims := fmt.Sprintf(`{"iss":"joe","aud":"api","exp":%d,"sub":%q}`, time.Now().Add(time.Hour).Unix(), subject)
	return encode([]byte(header)) + "." + encode([]byte(claims))
}

func (k key) token(subject string) string {
	message := k.message(subject)
	return message + "." + encode(k.sign([]byte(message)))
}

// ask sends a request with a token and returns the status and X-User that the origin
// got, or the refusal.
func ask(t testing.TB, f *httpwasm.Filter, x *edge.Exchange, token string) string {
	x.Begin(nil, &edge.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234")}, time.Now())
	defer x.End()
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Proto = "GET", "http", "example.org", "/", "HTTP/1.1"
	r.Fields.Add("Authorization", "Bearer "+token)
	r.Fields.Add("X-User", "root")
	got := ""
	err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		got = r.Fields.Get("X-User")
		if r.Fields.Has("Authorization") {
			got += " with its token"
		}
		x.Respond(200, nil, 0)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if x.Response.Body != nil {
		b, err := io.ReadAll(x.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		got += string(b)
	}
	return fmt.Sprint(x.Response.Status, " ", got)
}

// What Go signs is good, and nothing that is nearly it.
func TestSignatures(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	t.Cleanup(e.Close)
	all := keys(t, 2048, 3072, 4096)
	f := filter(t, e, all...)
	x := new(edge.Exchange)
	const wrong, malformed = "401 401: the signature is wrong\n", "401 401: the token is malformed\n"
	for i, k := range all {
		t.Run(k.alg+" "+k.public["kid"], func(t *testing.T) {
			for n := range 20 {
				user := fmt.Sprintf("user %d %s", n, strings.Repeat("x", n*7))
				if got, want := ask(t, f, x, k.token(user)), "200 "+user; got != want {
					t.Errorf("a good token: got %q, want %q", got, want)
				}
			}
			message := k.message("ann")
			signature := k.sign([]byte(message))
			try := func(what string, signature []byte, want string) {
				t.Helper()
				if got := ask(t, f, x, message+"."+encode(signature)); got != want {
					t.Errorf("%s: got %q, want %q", what, got, want)
				}
			}
			for n := range 40 {
				other := bytes.Clone(signature)
				at := n * len(other) / 40
				other[at] ^= 1 << (n % 8)
				try(fmt.Sprint("byte ", at, " is another"), other, wrong)
			}
			try("none", nil, wrong)
			try("shorter", signature[1:], wrong)
			try("longer", append([]byte{0}, signature...), wrong)
			try("zeros", make([]byte, len(signature)), wrong)
			try("ones", bytes.Repeat([]byte{0xff}, len(signature)), wrong)
			try("another key's", all[(i+1)%len(all)].sign([]byte(message)), wrong)
			if got := ask(t, f, x, k.message("bob")+"."+encode(signature)); got != wrong {
				t.Errorf("of another message: got %q", got)
			}
			if got := ask(t, f, x, message+"."+encode(signature)+"="); got != malformed {
				t.Errorf("with padding: got %q", got)
			}
		})
	}
}

// A signature that is the good one in another form is not good: there is one form.
func TestForms(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	t.Cleanup(e.Close)
	all := keys(t)
	f := filter(t, e, all...)
	// The order of the points of Ed25519, and of P-256, are added to S and R.
	for alg, form := range map[string]struct {
		at     int
		order  string
		little bool
	}{
		"EdDSA": {32, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", true},
		"ES256": {32, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", false},
	} {
		for _, k := range all {
			if k.alg != alg {
				continue
			}
			message := k.message("ann")
			s := k.sign([]byte(message))
			if added := plus(t, s[form.at:form.at+32], form.order, form.little); added != nil {
				other := append(append(bytes.Clone(s[:form.at]), added...), s[form.at+32:]...)
				if got, want := ask(t, f, new(edge.Exchange), message+"."+encode(other)), "401 401: the signature is wrong\n"; got != want {
					t.Errorf("%s: got %q, want %q", alg, got, want)
				}
			}
		}
	}
}

// plus returns a number of 32 bytes and another one; nil if it has no room.
func plus(t *testing.T, number []byte, hex string, little bool) []byte {
	t.Helper()
	var other []byte
	if _, err := fmt.Sscanf(hex, "%x", &other); err != nil {
		t.Fatal(err)
	}
	sum, carry := make([]byte, 32), 0
	for i := range 32 {
		at := 31 - i
		if little {
			at = i
		}
		v := int(number[at]) + int(other[31-i]) + carry
		sum[at], carry = byte(v), v>>8
	}
	if carry > 0 {
		return nil
	}
	return sum
}

// What a request costs with a token of each sort.
func BenchmarkCheck(b *testing.B) {
	e := wasm.NewEngine(wasm.Config{})
	b.Cleanup(e.Close)
	all := keys(b, 2048, 3072, 4096)
	f := filter(b, e, all...)
	x := new(edge.Exchange)
	for _, k := range all {
		b.Run(k.alg+" "+k.public["kid"], func(b *testing.B) {
			token := k.token("ann")
			for b.Loop() {
				if got := ask(b, f, x, token); got != "200 ann" {
					b.Fatal(got)
				}
			}
		})
	}
}
