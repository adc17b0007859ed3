package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultAddress is where the admin API listens unless it is told otherwise.
const DefaultAddress = "http://127.0.0.1:2024"

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 2 * time.Minute // an upload is compiled before it is answered
	maxAnswer     = 16 << 20        // bytes
)

// Client talks to the admin API of one proxy. Several goroutines may use it.
type Client struct {
	addr  string // as given, for messages
	base  *url.URL
	token string
	http  *http.Client
}

// Unreachable is the error when there is no API at an address.
type Unreachable struct {
	Addr string
	Err  error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach the admin API at %s: %v", e.Addr, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// NewClient returns a client of the API at addr, which is a URL, a host:port, or
// unix:PATH; "" is DefaultAddress. The token may be empty.
func NewClient(addr, token string) (*Client, error) {
	if addr == "" {
		addr = DefaultAddress
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: time.Second,
	}
	c := &Client{addr: addr, token: token}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return nil, errors.New(`address "unix:" has no path: use unix:/run/sluice/admin.sock`)
		}
		c.base = &url.URL{Scheme: "http", Host: "localhost"}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
	} else {
		full := addr
		if !strings.Contains(full, "://") {
			full = "http://" + full
		}
		u, err := url.Parse(full)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("address %q is neither a URL such as %s, nor host:port, nor unix:PATH", addr, DefaultAddress)
		}
		c.base = u
	}
	c.http = &http.Client{
		Transport: transport,
		// The token must not follow a redirect to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Host returns the host that the API is on: "127.0.0.1" for a unix socket.
func (c *Client) Host() string {
	if strings.HasPrefix(c.addr, "unix:") {
		return "127.0.0.1"
	}
	return c.base.Hostname()
}

// Close closes the connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the health of the proxy.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "v1", "status")
}

// Ready reports whether the proxy takes traffic.
func (c *Client) Ready(ctx context.Context) (Ready, error) {
	return get[Ready](ctx, c, "v1", "ready")
}

// Version returns what is running.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "v1", "version")
}

// Split returns how a route's traffic is divided.
func (c *Client) Split(ctx context.Context, route string) (Split, error) {
	return get[Split](ctx, c, "v1", "splits", route)
}

// SetSplit divides a route's traffic anew.
func (c *Client) SetSplit(ctx context.Context, route string, shares SplitChange, change Change) (Split, error) {
	body, err := json.Marshal(shares)
	if err != nil {
		return Split{}, err
	}
	return send[Split](ctx, c, http.MethodPut, change, mediaJSON, body, "v1", "splits", route)
}

const (
	mediaJSON  = "application/json"
	mediaYAML  = "application/yaml" // RFC 9512
	mediaPatch = "application/merge-patch+json"
)

func get[T any](ctx context.Context, c *Client, path ...string) (v T, err error) {
	req, err := c.request(ctx, http.MethodGet, nil, path...)
	if err != nil {
		return v, err
	}
	err = c.do(req, &v)
	return v, err
}

// send makes a request with a body of a media type, which may be nil, and decodes
// the answer.
func send[T any](ctx context.Context, c *Client, method string, change Change, media string, body []byte, path ...string) (v T, err error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := c.request(ctx, method, r, path...)
	if err != nil {
		return v, err
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	change.apply(req)
	err = c.do(req, &v)
	return v, err
}

// Change says how something is to be changed.
type Change struct {
	DryRun  bool   // check, and change nothing
	IfMatch string // ETag that the configuration must have; "": any
}

func (c Change) apply(req *http.Request) {
	if c.DryRun {
		q := req.URL.Query()
		q.Set("dry_run", "1")
		req.URL.RawQuery = q.Encode()
	}
	if c.IfMatch != "" {
		req.Header.Set("If-Match", c.IfMatch)
	}
}

// request makes a request to the path of the given segments, which may hold
// slashes of their own.
func (c *Client) request(ctx context.Context, method string, body io.Reader, segments ...string) (*http.Request, error) {
	u := *c.base
	raw := strings.TrimSuffix(u.EscapedPath(), "/")
	for _, s := range segments {
		switch s {
		case "", ".", "..":
			return nil, fmt.Errorf("%q is not a name", s)
		}
		raw += "/" + url.PathEscape(s)
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath = path, raw
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, "+ContentType)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// do sends req and decodes the answer into v, unless that is nil.
func (c *Client) do(req *http.Request, v any) error {
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(req, err)
	}
	defer res.Body.Close()
	return c.answer(res, v)
}

// unreachable returns the error of a request that got no answer.
func (c *Client) unreachable(req *http.Request, err error) error {
	if cause := context.Cause(req.Context()); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the method and the URL say nothing more
	}
	return &Unreachable{c.addr, err}
}

// answer decodes an answer into v, unless that is nil.
func (c *Client) answer(res *http.Response, v any) error {
	body, err := c.read(res)
	if err != nil {
		return err
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case media == ContentType:
		p := &Problem{Status: res.StatusCode}
		if err := json.Unmarshal(body, p); err != nil {
			return fmt.Errorf("read the problem that %s reports with status %d: %w", c.addr, res.StatusCode, err)
		}
		return p
	case res.StatusCode == http.StatusNoContent && v == nil:
		return nil
	case media == mediaJSON && (res.StatusCode/100 == 2 || isReady(v)):
		if v == nil {
			return nil
		}
		if err := json.Unmarshal(body, v); err != nil {
			return fmt.Errorf("read the answer of %s: %w", c.addr, err)
		}
		return nil
	}
	return fmt.Errorf("%s is not sluice's admin API: it answers with status %d, %q", c.addr, res.StatusCode, res.Header.Get("Content-Type"))
}

// read returns the content of an answer.
func (c *Client) read(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.addr, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", c.addr, maxAnswer>>20)
	}
	return body, nil
}

// isReady reports whether v is a Ready, which comes with 503 as well.
func isReady(v any) bool {
	_, ok := v.(*Ready)
	return ok
}
