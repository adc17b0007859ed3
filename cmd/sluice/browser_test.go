package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// TestBrowser lets a browser show the demo's page over HTTP/3, as each arm has it.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = cmp.Or(browser, path)
		}
	}
	if browser == "" {
		t.Skip("needs chromium")
	}
	addr, admin := free(t), free(t)
	start(t, regexp.MustCompile(`Ctrl-C`), build(t), "demo", "--http", free(t), "--https", addr, "--admin", admin)

	args := []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + t.TempDir(), "--virtual-time-budget=10000",
		"--enable-quic", "--origin-to-force-quic-on=" + addr, "--ignore-certificate-errors-spki-list=" + keyDigest(t, addr),
		"--dump-dom", "https://" + addr + "/",
	}
	shown := func(want ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, browser, args...)
		stderr := new(strings.Builder)
		cmd.Stderr = stderr
		page, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		for _, w := range want {
			if !strings.Contains(string(page), w) {
				t.Errorf("the page has no %q:\n%s", w, page)
			}
		}
	}
	steer(t, admin, "stable=100", "canary=0")
	shown("<b>version 1</b>", `id="protocol">HTTP/3<`, `id="arm">stable<`, `id="filter">hello v1<`, `id="cache">miss<`, "<li>thing 12<span>35</span>", "Via: 3.0 sluice")
	steer(t, admin, "stable=0", "canary=100")
	args[len(args)-1] += "newcomer" // it has a cookie by now
	shown("<b>version 2</b>", `id="protocol">HTTP/3<`, `id="arm">canary<`, `id="filter">hello v1<`, "<li>thing 1<span>8</span>")
}

// The page needs nothing that is not on it, and little of that.
func TestShopPage(t *testing.T) {
	if len(shopHTML) > 10<<10 {
		t.Errorf("the page has %d bytes", len(shopHTML))
	}
	if regexp.MustCompile(`(?i)//[a-z0-9.-]+\.|@import|url\(`).MatchString(shopHTML) {
		t.Error("the page wants something from elsewhere")
	}
	shop, err := startShop(`version "<1>"`)
	if err != nil {
		t.Fatal(err)
	}
	defer shop.stop()
	req, err := http.NewRequest("GET", "http://"+shop.addr+"/?<script>", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Accept": {"text/html"}, "Via": {"<b> sluice"}, "X-Sluice-Arm": {"<i>"}, "X-A": {"</pre>"}}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, markup := range []string{"<1>", "?<script>", "/<b>", "<i>", "A: </pre>"} {
		if strings.Contains(string(page), markup) {
			t.Errorf("%q is on the page as it came", markup)
		}
	}
}

// steer sets the shares of the demo's split.
func steer(t *testing.T, admin string, shares ...string) {
	t.Helper()
	if out := sluice(t, append([]string{"split", "shop", "--admin", admin}, shares...)...); !strings.HasSuffix(out, "exit 0\n") {
		t.Fatalf("sluice split %s:\n%s", shares, out)
	}
}

// keyDigest returns the digest of the public key that a TLS server has, in base64.
func keyDigest(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// start starts a command that goes on until the test ends, and waits for what it
// prints when it is ready.
func start(t *testing.T, ready *regexp.Regexp, name string, args ...string) *edgetest.Log {
	t.Helper()
	log := new(edgetest.Log)
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGQUIT) // an error says that it has ended by itself
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v:\n%s", name, err, log)
		}
	})
	if err := log.Wait(ready); err != nil {
		t.Fatal(errors.Join(err, fmt.Errorf("%s", log)))
	}
	return log
}
