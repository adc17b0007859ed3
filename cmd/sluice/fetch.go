package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/fetch"
	"github.com/sluice-edge/sluice/edge/config"
)

// requestFlags are the flags of a command that sends a request.
type requestFlags struct {
	fetch.Options
	data, file, state string
}

func (r *requestFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&r.Method, "request", "X", "", "`method` (default GET, or POST with -d)")
	f.StringArrayVarP(&r.Fields, "header", "H", nil, "request `field`, as \"Name: value\"; may be repeated")
	f.StringVarP(&r.data, "data", "d", "", "`content` of the request; @FILE: that of a file; @-: standard input")
	f.BoolVarP(&r.Show, "include", "i", false, "print the response's fields too")
	f.BoolVarP(&r.Insecure, "insecure", "k", false, "take any certificate")
	f.StringVar(&r.state, "trust-internal", "", "trust the internal authority of the proxy with this state `directory` (without one: what the configuration says)")
	f.Lookup("trust-internal").NoOptDefVal = "auto"
	f.StringVarP(&r.file, "output", "o", "", "write the content to a `file`") // in the place of the global one
}

// send sends the request.
func (r *requestFlags) send(cmd *cobra.Command, quiet bool) (err error) {
	if r.state != "" {
		if r.TrustFile, err = internalCA(r.state); err != nil {
			return err
		}
	}
	if cmd.Flags().Changed("data") {
		body, err := requestBody(cmd, r.data)
		if err != nil {
			return err
		}
		r.Body = body
	}
	if r.file != "" {
		return fetchTo(cmd, r.Options, r.file, quiet)
	}
	out := cmd.OutOrStdout()
	return fetch.Fetch(cmd.Context(), r.Options, out, infoFor(cmd, r.Show, quiet, out))
}

func newFetch(g *globals) *cobra.Command {
	var (
		r                   requestFlags
		http1, http2, http3 bool
	)
	cmd := &cobra.Command{
		Use:   "fetch URL",
		Short: "Send a request over HTTP/1.1, HTTP/2 or HTTP/3",
		Long: `Send a request, and print the content of the response; the status goes to standard error. Few systems have a
client for HTTP/3 at hand: this is one. Redirects are not followed, and a status of 400 or more is no failure.`,
		Example: `  sluice fetch --http3 -k https://127.0.0.1:8443/
  sluice fetch -i -H "Accept-Encoding: br" https://example.org/
  sluice fetch -X PUT -d @cart.json http://127.0.0.1:8080/cart`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.URL = args[0]
			switch {
			case http1 && http2 || http2 && http3 || http3 && http1:
				return usagef("only one of --http1, --http2 and --http3 can be spoken")
			case http1:
				r.Proto = fetch.HTTP1
			case http2:
				r.Proto = fetch.HTTP2
			case http3:
				r.Proto = fetch.HTTP3
			}
			return r.send(cmd, g.quiet)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&http1, "http1", false, "speak HTTP/1.1")
	f.BoolVar(&http2, "http2", false, "speak HTTP/2, without TLS by prior knowledge")
	f.BoolVar(&http3, "http3", false, "speak HTTP/3")
	r.add(cmd)
	return cmd
}

// infoFor returns where the status, and the fields if they are asked for, go.
func infoFor(cmd *cobra.Command, show, quiet bool, out io.Writer) io.Writer {
	switch {
	case show:
		return out
	case quiet:
		return io.Discard
	}
	return cmd.ErrOrStderr()
}

// fetchTo fetches into a file.
func fetchTo(cmd *cobra.Command, o fetch.Options, path string, quiet bool) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	return fetch.Fetch(cmd.Context(), o, file, infoFor(cmd, o.Show, quiet, cmd.OutOrStdout()))
}

// requestBody returns what -d says. A file is closed by whoever sends it.
func requestBody(cmd *cobra.Command, data string) (io.Reader, error) {
	path, isFile := strings.CutPrefix(data, "@")
	switch {
	case !isFile:
		return strings.NewReader(data), nil
	case path == "-":
		return cmd.InOrStdin(), nil
	}
	return os.Open(path)
}

// internalCA returns the file of the internal authority's certificate.
func internalCA(state string) (string, error) {
	if state == "auto" {
		path := configFile("")
		file, problems := config.Load(path, config.Options{})
		if problems.Failed() {
			return "", usagef("%s does not say where the internal authority is: give the state directory, as in --trust-internal=/var/lib/sluice", path)
		}
		state = file.State
	}
	return filepath.Join(state, "internal", "ca.crt"), nil
}
