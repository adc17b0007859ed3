package proxywasm

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// maxPath bounds a property's path, in bytes.
const maxPath = 1 << 10

func (a *args) getProperty() status {
	path := a.text(0)
	if a.bad || !a.room(2, 2, 4) {
		return invalidMemory
	}
	value, ok := a.v.property(strings.TrimSuffix(path, "\x00"))
	if !ok {
		return notFound
	}
	return a.give(2, value)
}

// setProperty sets a property of the guest's own, which its context has until it ends.
func (a *args) setProperty() status {
	path, value := a.text(0), a.bytes(2)
	s := a.v.serving()
	switch {
	case a.bad:
		return invalidMemory
	case s == nil || path == "" || len(path) > maxPath:
		return badArgument
	}
	if s.fields += int64(len(path) + len(value) + fieldLine); s.fields > s.f.cfg.Fields {
		return internalFailure
	}
	if s.own == nil {
		s.own = make(map[string][]byte)
	}
	s.own[strings.TrimSuffix(path, "\x00")] = append([]byte(nil), value...)
	return statusOK
}

// property returns the value of a path, whose parts are joined by NUL.
func (v *vm) property(path string) ([]byte, bool) {
	s := v.serving()
	if s != nil {
		if value, ok := s.own[path]; ok {
			return value, true
		}
	}
	cfg := &v.f.cfg
	switch path {
	case "plugin_name":
		return []byte(cfg.Name), true
	case "plugin_root_id":
		return []byte(cfg.Root), true
	case "plugin_vm_id":
		return []byte(cfg.VM), true
	}
	if s == nil {
		return nil, false
	}
	group, name, _ := strings.Cut(path, "\x00")
	x := s.x
	switch group {
	case "route_name":
		return text(x.Record.Route)
	case "cluster_name":
		return text(x.Record.Upstream)
	case "listener_direction":
		return number(1), true // inbound
	case "request":
		return s.requestProperty(name)
	case "response":
		return s.responseProperty(name)
	case "source":
		if c := x.Client; c != nil {
			return address(name, c.Addr)
		}
	case "destination":
		if c := x.Client; c != nil {
			return address(name, c.Local)
		}
	case "connection":
		return s.connectionProperty(name)
	case "upstream":
		if name == "address" {
			return text(x.Record.Endpoint)
		}
		if ap, err := netip.ParseAddrPort(x.Record.Endpoint); err == nil && name == "port" {
			return number(int64(ap.Port())), true
		}
	}
	return nil, false
}

func (s *stream) requestProperty(name string) ([]byte, bool) {
	x, r := s.x, &s.x.Request
	if of, field, ok := strings.Cut(name, "\x00"); ok && of == "headers" {
		return text(r.Fields.Get(field))
	}
	switch name {
	case "path":
		return text(pathOf(r))
	case "url_path":
		return text(r.Path)
	case "query":
		return text(r.Query)
	case "host":
		return text(r.Authority)
	case "scheme":
		return text(r.Scheme)
	case "method":
		return text(r.Method)
	case "protocol":
		return text(strings.TrimSuffix(r.Proto, ".0"))
	case "id":
		return text(x.Record.ID)
	case "referer":
		return text(r.Fields.Get("referer"))
	case "useragent":
		return text(r.Fields.Get("user-agent"))
	case "headers":
		return fieldMap(&r.Fields), true
	case "time":
		return number(x.Record.Start.UnixNano()), true
	case "duration":
		return number(int64(time.Since(x.Record.Start))), true
	case "size":
		return number(max(r.Length, 0)), true
	case "total_size":
		return number(max(r.Length, 0) + sizeOf(&r.Fields)), true
	}
	return nil, false
}

func (s *stream) responseProperty(name string) ([]byte, bool) {
	r := &s.x.Response
	if !s.answered {
		return nil, false
	}
	if of, field, ok := strings.Cut(name, "\x00"); ok && of == "headers" {
		return text(r.Fields.Get(field))
	}
	switch name {
	case "code":
		return number(int64(r.Status)), true
	case "code_details":
		return text(s.x.Record.Why)
	case "grpc_status":
		if n, err := strconv.ParseUint(r.Fields.Get("grpc-status"), 10, 8); err == nil {
			return number(int64(n)), true
		}
	case "headers":
		return fieldMap(&r.Fields), true
	case "size":
		return number(max(r.Length, 0)), true
	case "total_size":
		return number(max(r.Length, 0) + sizeOf(&r.Fields)), true
	}
	return nil, false
}

func (s *stream) connectionProperty(name string) ([]byte, bool) {
	c := s.x.Client
	if c == nil || c.TLS == nil {
		if name == "mtls" {
			return []byte{0}, true
		}
		return nil, false
	}
	var peer *x509.Certificate
	if len(c.TLS.PeerCertificates) > 0 {
		peer = c.TLS.PeerCertificates[0]
	}
	switch name {
	case "mtls":
		if peer != nil {
			return []byte{1}, true
		}
		return []byte{0}, true
	case "requested_server_name":
		return text(c.TLS.ServerName)
	case "tls_version":
		return text(tlsVersions[c.TLS.Version])
	}
	if peer == nil {
		return nil, false
	}
	switch name {
	case "subject_peer_certificate":
		return text(peer.Subject.String())
	case "dns_san_peer_certificate":
		if len(peer.DNSNames) > 0 {
			return text(peer.DNSNames[0])
		}
	case "uri_san_peer_certificate":
		if len(peer.URIs) > 0 {
			return text(peer.URIs[0].String())
		}
	case "sha256_peer_certificate_digest":
		sum := sha256.Sum256(peer.Raw)
		return text(hex.EncodeToString(sum[:]))
	}
	return nil, false
}

var tlsVersions = map[uint16]string{0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}

// text returns a text; an empty one is none.
func text(v string) ([]byte, bool) { return []byte(v), v != "" }

func number(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func address(name string, ap netip.AddrPort) ([]byte, bool) {
	switch name {
	case "address":
		return text(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String())
	case "port":
		return number(int64(ap.Port())), true
	}
	return nil, false
}

func fieldMap(f *edge.Fields) []byte {
	list := make([]edge.Field, 0, f.Len())
	for name, value := range f.All() {
		list = append(list, edge.Field{Name: strings.ToLower(name), Value: value})
	}
	return appendPairs(nil, list)
}

func sizeOf(f *edge.Fields) (n int64) {
	for name, value := range f.All() {
		n += int64(len(name) + len(value))
	}
	return n
}
