package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTo puts HTTPS in front of a shop.
func TestTo(t *testing.T) {
	shop, err := startShop("version 1")
	if err != nil {
		t.Fatal(err)
	}
	defer shop.stop()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	https, admin := free(t), free(t)
	start(t, regexp.MustCompile(`is served on .*\. Ctrl-C stops it\.`), build(t), "to", shop.addr, "--http", free(t), "--https", https, "--admin", admin)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for url, proto := range map[string]string{"https://" + https + "/catalogue": "HTTP/2.0", "http://" + admin + "/v1/status": "HTTP/1.1"} {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || res.Proto != proto {
			t.Errorf("%s: %s over %s", url, res.Status, res.Proto)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(os.Getenv("XDG_STATE_HOME"), "sluice/to")); len(left) == 0 {
		t.Error("nothing is kept in the state directory")
	}
}
