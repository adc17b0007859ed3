// Package tck runs the technology compatibility kit of http-wasm: its guest as a
// filter of sluice, its back end as the origin, its requests over HTTP/1.1 and
// HTTP/2. It is a module of its own, so that what the kit imports is no dependency
// of sluice.
package tck

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/tck"
	"github.com/sluice-edge/sluice/edge/edgetest"
)

const file = `
listen: { http: "127.0.0.1:0", https: "127.0.0.1:0" }
admin: off
state: state
sites: { "*": { name: kit, filters: [tck], to: ORIGIN } }
filters: { tck: { wasm: tck.wasm, timeout: 10s } }
`

func TestTCK(t *testing.T) {
	dir := t.TempDir()
	origin := httptest.NewServer(tck.BackendHandler())
	t.Cleanup(origin.Close)
	for name, data := range map[string]string{
		"tck.wasm":    string(tck.GuestWASM),
		"sluice.yaml": strings.Replace(file, "ORIGIN", origin.Listener.Addr().String(), 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := edgetest.Start(t, edgetest.Build(t, "../../.."), dir)
	t.Cleanup(p.Close)
	for _, url := range []string{"http://" + p.Addr("http"), "https://" + p.Addr("https")} {
		version := "HTTP1.1"
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(true)
		if strings.HasPrefix(url, "https:") {
			version = "HTTP2"
			transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the proxy's certificate is its own
			transport.Protocols.SetHTTP1(false)
			transport.Protocols.SetHTTP2(true)
		}
		t.Cleanup(transport.CloseIdleConnections)
		t.Run(version, func(t *testing.T) {
			tck.Run(t, &http.Client{Transport: transport, Timeout: edgetest.Patience}, url)
		})
	}
}
