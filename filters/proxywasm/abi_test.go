package proxywasm

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// Guests of 0.1.0, with what Emscripten's have.
func TestOldGuest(t *testing.T) {
	f := loadGuest(t, "proxy-old", Config{Config: []byte("configured")})
	o := &origin{}
	if r := try(t, f, o, "GET", "/"); r.err != nil || r.body != "hello from origin" {
		t.Errorf("%q, %v", r.body, r.err)
	}
	for name, want := range map[string]string{
		"x-main": "1", "x-config": "configured",
		"x-empty": "00", // what is not there is empty
		"x-equal": "10",
	} {
		if got := o.fields.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	x := request1("GET", "/", nil, 0)
	x.Request.Fields.Add("Abort", "1")
	if r := exchange(f, o, x); r.err == nil || !strings.Contains(r.err.Error(), "aborted at line 12, column 5") || f.Stats().Failures[wasm.Trapped] != 1 {
		t.Errorf("it aborts: %v", r.err)
	}
}

func TestSluiceImports(t *testing.T) {
	f := loadGuest(t, "proxy-sluice", Config{Host: hostmod.New(hostmod.Grants{Route: true}, hostmod.Env{})})
	o := &origin{}
	x := request1("GET", "/", nil, 0)
	x.Record.Route = "/route"
	guest := ""
	o.answer = func(x *edge.Exchange) error {
		guest = x.Record.Guest.Get("guest")
		x.Respond(204, nil, 0)
		return nil
	}
	if r := exchange(f, o, x); r.err != nil || o.fields.Get("x-route") != "/route" || guest != "proxy" {
		t.Errorf("%v: the route is %q, the log's field %q", r.err, o.fields.Get("x-route"), guest)
	}
	_, err := loadingBytes(t, guests.Read(t, "proxy-sluice"), Config{})
	if err == nil || !strings.Contains(err.Error(), "imports sluice.route_get, and is not allowed to") {
		t.Errorf("without a grant: %v", err)
	}
}

// The guest adds to a response's trailers, which it finds at the end of its content.
func TestResponseTrailers(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	for _, n := range []int{0, 1, 2} {
		x := request1("GET", "/", nil, 0)
		o := &origin{answer: func(x *edge.Exchange) error {
			x.Respond(200, &streamed{pieces: []string{"a", "b"}, end: func() {
				for range n {
					x.Response.Trailers.Add("Sum", "1")
				}
			}}, -1)
			return nil
		}}
		if err := f.Filter(x, o); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(x.Response.Body); err != nil {
			t.Fatal(err)
		}
		want := ""
		if n > 0 {
			want = "0000000" + string(rune('0'+n))
		}
		if got := x.Response.Trailers.Get("x-count"); got != want {
			t.Errorf("%d trailers: the guest has seen %q", n, got)
		}
		x.End()
	}
}

// given returns what a host function has given by the pointers at its last parameters.
func given(v *vm) []byte {
	ptr, n := binary.LittleEndian.Uint32(v.in.Read(1024, 4)), binary.LittleEndian.Uint32(v.in.Read(1028, 4))
	return v.in.Read(ptr, n)
}

func propertyOf(v *vm, path string) (string, status) {
	path = strings.ReplaceAll(path, ".", "\x00")
	copy(v.in.Read(2048, uint32(len(path))), path)
	if st := callHost(v, "proxy_get_property", 2048, uint64(len(path)), 1024, 1028); st != statusOK {
		return "", st
	}
	return string(given(v)), statusOK
}

func TestProperties(t *testing.T) {
	f := loadGuestIn(t, "-", Config{Root: "root", VM: "vm"})
	x := request1("POST", "/a?b", nil, 7)
	defer x.End()
	u, _ := url.Parse("spiffe://example.org/client")
	c := *x.Client
	c.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, ServerName: "example.org", PeerCertificates: []*x509.Certificate{{
		Raw: []byte("raw"), Subject: pkix.Name{CommonName: "client"}, DNSNames: []string{"client.example"}, URIs: []*url.URL{u},
	}}}
	x.Client = &c
	x.Request.Fields.Add("User-Agent", "curl")
	x.Request.Fields.Add("Referer", "there")
	x.Record.Route, x.Record.Upstream, x.Record.Endpoint, x.Record.Why = "/r", "up", "192.0.2.3:81", "no-route"
	x.Record.Err = &edge.Error{Kind: edge.NoRoute}
	x.Respond(200, nil, 3)
	x.Response.Fields.Add("Server", "s")
	x.Response.Trailers.Add("Grpc-Status", "5")
	s, v := enterHost(t, f, x)
	node, _ := os.Hostname()
	le := func(n int64) string { return string(appendNumber(nil, n)) }
	const absent = "\x00absent"
	is := func(path, want string) {
		t.Helper()
		got, st := propertyOf(v, path)
		if want == absent && st != notFound || want != absent && (st != statusOK || got != want) {
			t.Errorf("%s is %q (status %d), not %q", path, got, st, want)
		}
	}
	for _, path := range []string{"response.code", "response.flags", "response.headers", "response.trailers", "response.headers.server"} {
		is(path, absent) // there is none yet
	}
	is("connection.termination_details", absent)
	s.answered, s.ending = true, true
	for path, want := range map[string]string{
		"plugin_name": "test", "plugin_root_id": "root", "plugin_vm_id": "vm", "node.id": node,
		"route_name": "/r", "cluster_name": "up", "listener_direction": le(1),
		"request.path": "/a?b", "request.url_path": "/a", "request.query": "b", "request.host": "example.org", "request.scheme": "http",
		"request.method": "POST", "request.protocol": "HTTP/1.1", "request.id": "id-1", "request.referer": "there",
		"request.useragent": "curl", "request.headers.user-agent": "curl", "request.headers.:path": "/a?b", "request.headers.none": absent,
		"request.time": le(x.Record.Start.UnixNano()), "request.size": le(7), "request.total_size": le(7 + 10 + 4 + 7 + 5),
		"request.headers": string(listOf(edge.Field{Name: ":authority", Value: "example.org"}, edge.Field{Name: ":path", Value: "/a?b"},
			edge.Field{Name: ":method", Value: "POST"}, edge.Field{Name: ":scheme", Value: "http"}, edge.Field{Name: "content-length", Value: "7"},
			edge.Field{Name: "user-agent", Value: "curl"}, edge.Field{Name: "referer", Value: "there"})),
		"response.code": le(200), "response.code_details": "no-route", "response.flags": le(0x100), "response.grpc_status": le(5),
		"response.size": le(3), "response.total_size": le(3 + 7), "response.headers.server": "s", "response.trailers.grpc-status": "5",
		"response.trailers": string(listOf(edge.Field{Name: "grpc-status", Value: "5"})),
		"response.headers": string(listOf(edge.Field{Name: ":status", Value: "200"}, edge.Field{Name: "content-length", Value: "3"},
			edge.Field{Name: "server", Value: "s"})),
		"source.address": "192.0.2.1:1234", "source.port": le(1234), "destination.address": "192.0.2.2:80", "destination.port": le(80),
		"upstream.address": "192.0.2.3:81", "upstream.port": le(81),
		"connection.mtls": "\x01", "connection.requested_server_name": "example.org", "connection.tls_version": "TLSv1.3",
		"connection.subject_peer_certificate": "CN=client", "connection.dns_san_peer_certificate": "client.example",
		"connection.uri_san_peer_certificate":       "spiffe://example.org/client",
		"connection.sha256_peer_certificate_digest": digest(c.TLS.PeerCertificates[0]),
		"connection.none":                           absent, "none": absent, "request": absent, "": absent,
	} {
		is(path, want)
	}
	if got, st := propertyOf(v, "request.duration"); st != statusOK || len(got) != 8 {
		t.Errorf("the duration is %q", got)
	}
	x.Cancel(errors.New("reset"))
	is("connection.termination_details", "reset")
	c.TLS = &tls.ConnectionState{Version: tls.VersionTLS12}
	is("connection.tls_version", "TLSv1.2")
	is("connection.mtls", "\x00")
	is("connection.subject_peer_certificate", absent)
	c.TLS = nil
	is("connection.mtls", "\x00")
	is("connection.tls_version", absent)
	x.Record.Endpoint = ""
	is("upstream.address", absent)
	is("upstream.port", absent)
	for _, p := range []string{"own", "request.method"} { // its own come first
		copy(v.in.Read(2048, 64), strings.ReplaceAll(p, ".", "\x00")+"value")
		if st := callHost(v, "proxy_set_property", 2048, uint64(len(p)), 2048+uint64(len(p)), 5); st != statusOK {
			t.Errorf("%s cannot be set: status %d", p, st)
		}
		is(p, "value")
	}
	v.only, v.current, v.leads = nil, nil, true // in the root context
	for path, want := range map[string]string{"plugin_name": "test", "node.id": node, "request.method": absent, "source.address": absent,
		"connection.mtls": absent, "upstream.port": absent, "request.headers": absent, "response.code": absent} {
		is(path, want)
	}
	v.only = s
}

// The bits are Envoy's.
func TestFlags(t *testing.T) {
	for kind, want := range map[edge.Kind]int64{
		edge.DestinationUnavailable: 0x2, edge.ResponseTimeout: 0x4, edge.ConnectionRefused: 0x20, edge.ConnectionTerminated: 0x40,
		edge.ConnectionLimitReached: 0x80, edge.NoRoute: 0x100, edge.ClientGone: 0x4000, edge.ProtocolError: 0x800000, edge.FilterFailed: 0,
	} {
		if got := flagsOf(&edge.Error{Kind: kind}); got != want {
			t.Errorf("%v: %#x, not %#x", kind, got, want)
		}
	}
	if flagsOf(nil) != 0 {
		t.Error("flags without an error")
	}
}

func TestBuffers(t *testing.T) {
	f := loadGuestIn(t, "-", Config{Body: 10})
	x := request1("POST", "/", nil, 0)
	defer x.End()
	x.Request.Body = edge.Content(nil)
	s, v := enterHost(t, f, x)
	word := func(at uint32) uint32 { return binary.LittleEndian.Uint32(v.in.Read(at, 4)) }
	for buffer, want := range map[uint64]uint32{0: 4, 1: 4, 6: 0, 7: 1} {
		if st := callHost(v, "proxy_get_buffer_status", buffer, 1024, 1028); st != statusOK || word(1024) != want {
			t.Errorf("buffer %d has %d bytes, status %d", buffer, word(1024), st)
		}
	}
	for buffer, want := range map[uint64]status{2: notFound, 3: notFound, 4: notFound, 5: notFound, 8: notFound, 9: badArgument, 1 << 31: badArgument} {
		if st := callHost(v, "proxy_get_buffer_status", buffer, 1024, 1028); st != want {
			t.Errorf("buffer %d: status %d", buffer, st)
		}
		if st := callHost(v, "proxy_get_buffer_bytes", buffer, 0, 1, 1024, 1028); st != want {
			t.Errorf("buffer %d: status %d", buffer, st)
		}
	}
	for buffer, want := range map[uint64]status{1: statusOK, 2: badArgument, 4: badArgument, 7: badArgument, 9: badArgument, 1 << 31: badArgument} {
		if st := callHost(v, "proxy_set_buffer_bytes", buffer, 0, 0, 0, 0); st != want {
			t.Errorf("buffer %d is set: status %d", buffer, st)
		}
	}
	get := func(start, size uint64, want string) {
		t.Helper()
		if st := callHost(v, "proxy_get_buffer_bytes", 0, start, size, 1024, 1028); st != statusOK || string(given(v)) != want {
			t.Errorf("bytes from %d on are %q, status %d", start, given(v), st)
		}
	}
	get(0, 1<<32-1, "held")
	get(1, 2, "el")
	get(9, 9, "")
	get(1<<32-1, 0, "")
	if st := callHost(v, "proxy_get_buffer_bytes", 0, 2, 1<<32-2, 1024, 1028); st != badArgument {
		t.Errorf("an overflow: status %d", st)
	}
	s.flow[0].src = nil
	if st := callHost(v, "proxy_set_buffer_bytes", 0, 0, 0, 0, 0); st != notFound {
		t.Errorf("a message without content: status %d", st)
	}
	s.flow[0].src = x.Request.Body
	copy(v.in.Read(2048, 64), "1234567890")
	set := func(start, size, n uint64, want string, st status) {
		t.Helper()
		if got := callHost(v, "proxy_set_buffer_bytes", 0, start, size, 2048, n); got != st || string(s.flow[0].held) != want {
			t.Errorf("it is %q, status %d", s.flow[0].held, got)
		}
	}
	set(0, 0, 2, "12held", statusOK)
	set(6, 0, 1, "12held1", statusOK)
	set(100, 100, 1, "12held11", statusOK)
	set(1, 6, 0, "11", statusOK)
	set(0, 1<<32-1, 10, "1234567890", statusOK)
	set(0, 0, 1, "1234567890", internalFailure) // more than may be held
	set(1<<32-1, 1<<32-1, 0, "1234567890", statusOK)
}
