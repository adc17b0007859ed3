package examples

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A program that does the work of pow-challenge gets through sluice, and so does a
// browser by itself.
func TestPow(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>shop</title><p>cookies %q", r.Header["Cookie"])
	}))
	t.Cleanup(origin.Close)
	addr := startExample(t, "pow-challenge", origin.Listener.Addr().String(), map[string]string{"pow.key": "0123456789abcdef0123456789abcdef"})

	get := func(cookie string) (int, []byte) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		res, err := origin.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	status, body := get("")
	var p struct {
		Challenge, Cookie string
		Bits              int
	}
	if err := json.Unmarshal(body, &p); err != nil || status != 403 || p.Bits != 16 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	proof := strings.TrimSuffix(p.Cookie, "N") + solve(p.Challenge, p.Bits)
	if status, body := get("a=b; " + proof); status != 200 || !strings.Contains(string(body), `cookies ["a=b"]`) {
		t.Errorf("with a proof: %d %s", status, body)
	}

	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=20000", "--dump-dom", "http://"+addr+"/")
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	page, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if !strings.Contains(string(page), "<title>shop</title>") || !strings.Contains(string(page), "cookies []") {
		t.Errorf("the browser shows\n%s", page)
	}
}

// solve returns a nonce for a challenge of n bits.
func solve(challenge string, n int) string {
	for nonce := 0; ; nonce++ {
		text := fmt.Sprint(nonce)
		sum := sha256.Sum256([]byte(challenge + ":" + text))
		if bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:])) >= n {
			return text
		}
	}
}
