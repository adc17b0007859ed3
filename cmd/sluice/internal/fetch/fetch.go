// Package fetch is a small HTTP client for the command line, for HTTP/1.1,
// HTTP/2 and HTTP/3. The first two are the standard library's, the third is
// quic-go's: beside edge/http3 this is the second place that may import it.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
)

// Proto is a version of HTTP.
type Proto int

// The versions. Auto lets client and server agree on HTTP/2 or HTTP/1.1.
const (
	Auto Proto = iota
	HTTP1
	HTTP2 // without TLS: by prior knowledge (RFC 9113, section 3.3)
	HTTP3
)

// Options is what to fetch, and how.
type Options struct {
	URL    string    // without a scheme: http, or https where Proto is HTTP3
	Method string    // default GET, or POST with a Body
	Fields []string  // request fields, as "Name: value"
	Body   io.Reader // nil: no content

	Proto     Proto
	Dial      string         // host:port to connect to; "": that of the URL
	Insecure  bool           // take any certificate
	RootCAs   *x509.CertPool // instead of the system's; nil: the system's
	TrustFile string         // PEM: authorities that are trusted beside RootCAs
	Connect   time.Duration  // for connection and handshake; default 5 s

	Show bool // the response's fields and trailers, and interim responses
}

// Fetch sends one request. It writes the response's content to out, and the
// status line, with the protocol that was really spoken, to info. A status of 400
// or more is not an error, and redirects are not followed.
func Fetch(ctx context.Context, o Options, out, info io.Writer) error {
	if o.Connect <= 0 {
		o.Connect = 5 * time.Second
	}
	req, err := o.request(ctx, info)
	if err != nil {
		return err
	}
	conf, err := o.tls()
	if err != nil {
		return err
	}
	t := o.transport(conf)
	defer t.close()
	res, err := t.RoundTrip(req)
	if err != nil {
		return o.explain(req.URL, err)
	}
	defer res.Body.Close()
	fmt.Fprintf(info, "%s %s\n", version(res.ProtoMajor, res.ProtoMinor), text.Printable(status(res)))
	if o.Show {
		show(info, res.Header)
		fmt.Fprintln(info)
	}
	if _, err := io.Copy(out, res.Body); err != nil {
		return fmt.Errorf("the response is not whole: %w", err)
	}
	if o.Show && len(res.Trailer) > 0 {
		fmt.Fprintln(info)
		show(info, res.Trailer)
	}
	return nil
}

func (o *Options) request(ctx context.Context, info io.Writer) (*http.Request, error) {
	target := o.URL
	if !strings.Contains(target, "://") {
		scheme := "http://"
		if o.Proto == HTTP3 {
			scheme = "https://"
		}
		target = scheme + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", o.URL, errors.Unwrap(err))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q: expected http:// or https://", o.URL)
	case u.Host == "":
		return nil, fmt.Errorf("%q names no host", o.URL)
	case u.Scheme == "http" && o.Proto == HTTP3:
		return nil, fmt.Errorf("%q: HTTP/3 needs https://", o.URL)
	}
	method := o.Method
	if method == "" {
		method = http.MethodGet
		if o.Body != nil {
			method = http.MethodPost
		}
	}
	if o.Show {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(code int, f textproto.MIMEHeader) error {
				fmt.Fprintf(info, "%d %s\n", code, http.StatusText(code))
				show(info, http.Header(f))
				fmt.Fprintln(info)
				return nil
			},
		})
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), o.Body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "sluice-fetch")
	seen := map[string]bool{}
	for _, line := range o.Fields {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("field %q: expected \"Name: value\"", line)
		}
		value = strings.TrimSpace(value)
		switch key := http.CanonicalHeaderKey(name); {
		case key == "Host":
			req.Host = value
		case seen[key]:
			req.Header.Add(name, value)
		default:
			seen[key] = true
			req.Header.Set(name, value)
		}
	}
	if f, ok := o.Body.(*os.File); ok { // net/http does not look at files
		if i, err := f.Stat(); err == nil && i.Mode().IsRegular() {
			req.ContentLength = i.Size()
		}
	}
	return req, nil
}

func (o *Options) tls() (*tls.Config, error) {
	conf := &tls.Config{RootCAs: o.RootCAs, InsecureSkipVerify: o.Insecure}
	if o.TrustFile == "" {
		return conf, nil
	}
	b, err := os.ReadFile(o.TrustFile)
	if err != nil {
		return nil, fmt.Errorf("read the authority to trust: %w", err)
	}
	if conf.RootCAs == nil {
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
	} else {
		conf.RootCAs = conf.RootCAs.Clone()
	}
	if !conf.RootCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%q holds no certificate in PEM", o.TrustFile)
	}
	return conf, nil
}

// transport is a client of one version.
type transport struct {
	http.RoundTripper
	close func()
}

func (o *Options) transport(conf *tls.Config) transport {
	if o.Proto == HTTP3 {
		return http3Transport(conf, o.Dial, o.Connect)
	}
	p := new(http.Protocols)
	p.SetHTTP1(o.Proto != HTTP2)
	p.SetHTTP2(o.Proto != HTTP1)
	p.SetUnencryptedHTTP2(o.Proto == HTTP2)
	dialer := &net.Dialer{Timeout: o.Connect}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, cmp.Or(o.Dial, addr))
		},
		TLSHandshakeTimeout: o.Connect,
		TLSClientConfig:     conf,
		Protocols:           p,
		DisableCompression:  true, // content is shown as it is sent
	}
	return transport{t, t.CloseIdleConnections}
}

// version is how the protocol is spelled: RFC 9110, section 2.5, and as curl does.
func version(major, minor int) string {
	if major >= 2 {
		return fmt.Sprintf("HTTP/%d", major)
	}
	return fmt.Sprintf("HTTP/%d.%d", major, minor)
}

// status returns code and reason; newer versions of HTTP send no reason.
func status(res *http.Response) string {
	if s := strings.TrimSpace(res.Status); s != "" {
		return s
	}
	return fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode))
}

// show writes fields, sorted by name: both clients keep them in a map.
func show(w io.Writer, fields http.Header) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, v := range fields[name] {
			fmt.Fprintf(w, "%s: %s\n", text.Printable(name), text.Printable(v))
		}
	}
}
