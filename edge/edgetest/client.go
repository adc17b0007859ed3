package edgetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
)

// transport returns what speaks a major version of HTTP to the proxy.
func (s *script) transport(version int) (http.RoundTripper, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transports[version] != nil {
		return s.transports[version], nil
	}
	if version == 3 {
		p, ok := s.proxy.(HTTP3er)
		if !ok {
			return nil, errors.New("the proxy of this test has no HTTP/3 client")
		}
		s.transports[3] = p.HTTP3()
		return s.transports[3], nil
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.proxy.Addr(listener(addr)))
		},
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true}, // the proxy's certificates are its own
		DisableCompression:    true,
		ExpectContinueTimeout: Patience,
		MaxIdleConnsPerHost:   64,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(version == 1)
	t.Protocols.SetHTTP2(version == 2)
	t.Protocols.SetUnencryptedHTTP2(version == 2)
	s.transports[version] = t
	return t, nil
}

func (s *script) closeClients() {
	for _, t := range s.transports {
		if c, ok := t.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

// listener returns the name of the listener for a URL's host and port.
func listener(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	switch port {
	case "80":
		return "http"
	case "443":
		return "https"
	}
	return ":" + port
}

func (s *script) clientStatement(verb string, args []word) error {
	version := 1
	switch verb {
	case "client", "client1":
	case "client2":
		version = 2
	case "client3":
		version = 3
	default:
		return errors.New("no such client: there are client, client1, client2, client3")
	}
	asked, want, ok := arrow(args)
	if !ok || len(asked) < 2 || len(want) == 0 {
		return errors.New("want METHOD TARGET -> STATUS")
	}
	if strings.Contains(asked[1].name, "://") {
		asked[1].name = s.replace(asked[1].name)
	}
	transport, err := s.transport(version)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	req, err := request(ctx, version, asked)
	if err != nil {
		return err
	}
	var interim interims
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: interim.got}))
	res, err := transport.RoundTrip(req)
	if want[0].name == "fail" {
		if err == nil {
			res.Body.Close()
			return fmt.Errorf("got status %d, want no answer", res.StatusCode)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("got neither an answer nor an error: %w", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.ProtoMajor != version {
		return fmt.Errorf("got %s, want HTTP/%d", res.Proto, version)
	}
	body, err := io.ReadAll(res.Body)
	return check(want, &interim, res, body, err)
}

// request makes the request that words describe.
func request(ctx context.Context, version int, words []word) (*http.Request, error) {
	target := words[1].name
	if words[1].set { // a query
		target += "=" + words[1].value
	}
	if strings.HasPrefix(target, "/") {
		scheme := "http"
		if version == 3 {
			scheme = "https"
		}
		target = scheme + "://example.org" + target
	}
	if _, err := url.Parse(target); err != nil {
		return nil, err
	}
	var body []byte
	var trailer http.Header
	has, chunked := false, false
	header := http.Header{}
	for i := range words[2:] {
		w := &words[2+i]
		switch name, isTrailer := strings.CutPrefix(w.name, "trailer:"); {
		case isTrailer:
			if trailer == nil {
				trailer = http.Header{}
			}
			trailer.Add(name, w.value)
			chunked = true
		case w.isField():
			header[w.name] = append(header[w.name], w.value)
		case w.name == "body":
			body, has = []byte(w.value), true
		case w.name == "size":
			n, err := w.number()
			if err != nil {
				return nil, err
			}
			body, has = content(n), true
		case w.name == "chunked":
			chunked = true
		default:
			return nil, fmt.Errorf("%s is not a part of a request", w)
		}
	}
	var r io.Reader
	if has || chunked {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, words[0].name, target, r)
	if err != nil {
		return nil, err
	}
	if chunked {
		req.ContentLength, req.GetBody = -1, nil
	}
	if h := header["Host"]; h != nil {
		req.Host = h[0]
		delete(header, "Host")
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = []string{"edgetest"}
	}
	req.Header, req.Trailer = header, trailer
	return req, nil
}

// interims collects the interim responses of an exchange.
type interims struct {
	mu  sync.Mutex // guards the following field
	all []interimResponse
}

type interimResponse struct {
	status int
	header http.Header
}

func (i *interims) got(status int, header textproto.MIMEHeader) error {
	if status == http.StatusContinue {
		return nil // of this hop; without it the transport sends no content
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, interimResponse{status, http.Header(header).Clone()})
	return nil
}

// check compares an answer with what is wanted of it, head by head.
func check(want []word, got *interims, res *http.Response, body []byte, bodyErr error) error {
	got.mu.Lock()
	heads := append(got.all, interimResponse{res.StatusCode, res.Header})
	got.mu.Unlock()
	for len(want) > 0 {
		status, ok := want[0].isStatus()
		if !ok {
			return fmt.Errorf("%s is not a status", &want[0])
		}
		end := 1
		for end < len(want) {
			if _, next := want[end].isStatus(); next {
				break
			}
			end++
		}
		head := heads[0]
		heads = heads[1:]
		if head.status != status {
			return fmt.Errorf("got status %d, %q, %s, want %d", head.status, head.header, excerpt(body), status)
		}
		final := len(heads) == 0
		var trailer http.Header
		if final {
			trailer = res.Trailer
		}
		rest, err := checkFields(want[1:end], head.header, trailer)
		if err != nil {
			return err
		}
		if final {
			if end < len(want) {
				return fmt.Errorf("got no head after the final one, want %s", &want[end])
			}
			return checkEnd(rest, body, bodyErr)
		}
		if len(rest) > 0 {
			return fmt.Errorf("%s is not of an interim response", &rest[0])
		}
		want = want[end:]
	}
	return fmt.Errorf("got status %d as well", heads[0].status)
}

// checkEnd compares the content, and how it ended.
func checkEnd(want []word, body []byte, err error) error {
	cut := false
	var rest []word
	for _, w := range want {
		if w.name == "cut" && !w.set {
			cut = true
			continue
		}
		rest = append(rest, w)
	}
	switch {
	case cut && err == nil:
		return fmt.Errorf("got whole content %s, want it cut", excerpt(body))
	case !cut && err != nil:
		return fmt.Errorf("got %s, then: %w", excerpt(body), err)
	}
	return checkContent(rest, body)
}
