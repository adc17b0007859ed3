package main

import (
	"cmp"
	_ "embed"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/config"
)

//go:embed demo/sluice.yaml
var demoFile string

//go:embed demo/hello.wasm
var demoFilter []byte // what the filter "hello" is at first

//go:embed demo/headers.wasm
var demoUpload []byte // what a person uploads in its place

func newDemo(g *globals) *cobra.Command {
	var d demo
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try everything on loopback, without a file",
		Long: `Serve two versions of a small shop on loopback, behind a filter, a split and a cache, over HTTP/1.1, HTTP/2
and HTTP/3, and print commands to try. --admin is where the admin API is to listen. What the demo writes is in a
temporary directory, which goes when it stops.`,
		Example: `  sluice demo
  sluice demo --http 127.0.0.1:9080 --admin 127.0.0.1:9024`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Admin = cmp.Or(g.admin, defaultAdmin)
			return d.run(cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.HTTP, "http", "127.0.0.1:8080", "`address` for HTTP/1.1 without TLS")
	f.StringVar(&d.HTTPS, "https", "127.0.0.1:8443", "`address` for TLS, and for HTTP/3 over UDP")
	f.BoolVar(&d.log, "log", false, "print the access log")
	return cmd
}

// defaultAdmin is where the admin API listens unless it is told otherwise.
const defaultAdmin = "127.0.0.1:2024"

// DefaultAdmin returns the address that commands need not name.
func (d *demo) DefaultAdmin() string { return defaultAdmin }

// demo is what the demo's configuration and its text are made of.
type demo struct {
	HTTP, HTTPS, Admin string // addresses
	Dir                string // temporary directory
	Shop, ShopV2       string // addresses of the two origins
	Sluice             string // how this binary is called again
	log                bool
}

func (d *demo) run(stdout, stderr io.Writer) error {
	for _, a := range []string{d.HTTP, d.HTTPS, d.Admin} {
		if err := onLoopback(a); err != nil {
			return err
		}
	}
	var err error
	if d.Dir, err = os.MkdirTemp("", "sluice-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.Dir)
	for name, module := range map[string][]byte{"hello.wasm": demoFilter, "headers.wasm": demoUpload} {
		if err := os.WriteFile(filepath.Join(d.Dir, name), module, 0o644); err != nil {
			return err
		}
	}
	stable, err := startShop("version 1")
	if err != nil {
		return err
	}
	defer stable.stop()
	canary, err := startShop("version 2")
	if err != nil {
		return err
	}
	defer canary.stop()
	d.Shop, d.ShopV2, d.Sluice = stable.addr, canary.addr, ownName()

	var text strings.Builder
	if err := template.Must(template.New("").Parse(demoFile)).Execute(&text, d); err != nil {
		return err
	}
	file, problems := config.Parse(filepath.Join(d.Dir, "sluice.yaml"), []byte(text.String()), config.Options{})
	if problems.Failed() {
		report(stderr, problems)
		return errConfig
	}
	s := &service{file: file, stderr: stderr}
	if !d.log {
		s.access = io.Discard
	}
	s.started = func() { demoText.Execute(stdout, d) } // a closed terminal is no reason to stop
	return s.serve()
}

// onLoopback refuses addresses that others can reach: the demo is for who started
// it.
func onLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("%q is not an address such as 127.0.0.1:8080", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("%s is not on loopback: the demo is for this machine alone", address)
	}
	return nil
}

// ownName returns what to type to call this binary again.
func ownName() string {
	if self, err := os.Executable(); err == nil && strings.Contains(self, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/sluice"
	}
	return os.Args[0]
}

var demoText = template.Must(template.New("").Parse(`
sluice demo: two versions of a shop, behind a filter, a canary and a cache

  http://{{.HTTP}}    HTTP/1.1
  https://{{.HTTPS}}   HTTP/1.1, HTTP/2 and HTTP/3, with a certificate of its own
  http://{{.Admin}}    admin API

Open one of the first two in a browser, or try this in another terminal:

  # Through the filter (X-Sluice-Filter), to nine in ten version 1, and the same one again with its cookie.
  curl -i http://{{.HTTP}}/

  # The same over HTTP/2 and HTTP/3.
  curl -ik --http2 https://{{.HTTPS}}/
  {{.Sluice}} fetch -ik --http3 https://{{.HTTPS}}/

  # Cached for ten seconds (Cache-Status, Age), and compressed.
  curl -i --compressed http://{{.HTTP}}/catalogue

  # Streamed: an event a second, none held back.
  curl -N http://{{.HTTP}}/events

  # Another filter in the place of the first. It is live when this returns.
  curl -T {{.Dir}}/headers.wasm http://{{.Admin}}/v1/filters/hello
  curl -i http://{{.HTTP}}/

  # Half of the newcomers to version 2.
  {{.Sluice}} split shop 50%{{if ne .Admin .DefaultAdmin}} --admin {{.Admin}}{{end}}
  {{.Sluice}} status{{if ne .Admin .DefaultAdmin}} --admin {{.Admin}}{{end}}

Ctrl-C stops it and leaves nothing behind.
`))
