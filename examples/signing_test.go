package examples

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A partner's request is let through once, and the origin can check what sluice has
// signed. The test signs and checks by means of its own.
func TestSigning(t *testing.T) {
	const acme = "0123456789abcdef0123456789abcdef"
	seed := ed25519.NewKeyFromSeed([]byte("a seed that is of no use anywhere")[:32])
	der, err := x509.MarshalPKCS8PrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = checkSigned(r, body, seed.Public().(ed25519.PublicKey))
		}
		fmt.Fprintf(w, "%s %q %s %v", r.URL.Path, r.Header.Get("X-Signed-By"), body, err)
	}))
	t.Cleanup(origin.Close)
	addr := startExample(t, "signing", origin.Listener.Addr().String(), map[string]string{
		"acme.key": acme,
		"edge.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})

	f := func(path, body, key string, nonce, status int, want string) {
		t.Helper()
		req, err := http.NewRequest("POST", "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			sum := sha256.Sum256([]byte(body))
			req.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
			params := fmt.Sprintf(`("@method" "@authority" "@path" "@query" "content-digest");created=%d;keyid="acme";nonce="%d"`, time.Now().Unix(), nonce)
			h := hmac.New(sha256.New, []byte(key))
			fmt.Fprintf(h, "\"@method\": POST\n\"@authority\": %s\n\"@path\": %s\n\"@query\": ?\n\"content-digest\": %s\n\"@signature-params\": %s",
				addr, path, req.Header.Get("Content-Digest"), params)
			req.Header.Set("Signature-Input", "acme="+params)
			req.Header.Set("Signature", "acme=:"+base64.StdEncoding.EncodeToString(h.Sum(nil))+":")
		}
		for range 2 { // the second is the same
			res, err := origin.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != status || !strings.Contains(string(got), want) {
				t.Errorf("%s: got %d %q, %v, want %d %q", path, res.StatusCode, got, err, status, want)
			}
			if key != acme {
				break
			}
			status, want = 401, "it was used before"
			if req.Body, err = req.GetBody(); err != nil {
				t.Fatal(err)
			}
		}
	}
	f("/", "hello", "", 0, 200, `/ "" hello <nil>`)
	f("/partners/orders", "hello", acme, 1, 200, `/partners/orders "acme" hello <nil>`)
	f("/partners/orders", strings.Repeat("a", 1<<20), acme, 2, 200, `/partners/orders "acme" aaaa`)
	f("/partners/orders", "hello", acme[1:], 3, 401, "it is not that of the request")
}

// checkSigned checks a request at the origin.
func checkSigned(r *http.Request, body []byte, public ed25519.PublicKey) error {
	sum := sha256.Sum256(body)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if got := r.Header.Get("Content-Digest"); got != digest {
		return fmt.Errorf("Content-Digest is %s, want %s", got, digest)
	}
	input := strings.TrimPrefix(r.Header.Get("Signature-Input"), "sluice=")
	if !regexp.MustCompile(`^\("@method" "@authority" "@path" "@query" "content-digest" "date"( "x-signed-by")?\);created=[0-9]+;expires=[0-9]+;keyid="edge-1";alg="ed25519"$`).MatchString(input) {
		return fmt.Errorf("Signature-Input is %s", input)
	}
	by := ""
	if name := r.Header.Get("X-Signed-By"); name != "" {
		by = fmt.Sprintf("\"x-signed-by\": %s\n", name)
	}
	text := fmt.Sprintf("\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"@query\": ?%s\n\"content-digest\": %s\n\"date\": %s\n%s\"@signature-params\": %s",
		r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, digest, r.Header.Get("Date"), by, input)
	signature, err := base64.StdEncoding.DecodeString(strings.Trim(strings.TrimPrefix(r.Header.Get("Signature"), "sluice="), ":"))
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, []byte(text), signature) {
		return fmt.Errorf("the signature is not that of %q", text)
	}
	return nil
}
