package proxywasm

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// maxPath bounds a property's path, in bytes.
const maxPath = 1 << 10

func (a *args) getProperty() status {
	path := a.view(0)
	if a.bad || !a.room(2, 2, 4) {
		return invalidMemory
	}
	value, ok := a.v.property(a.v.scratch[:0], strings.TrimSuffix(path, "\x00"))
	if !ok {
		return notFound
	}
	return a.giveScratch(2, value)
}

// setProperty sets a property of the guest's own, which its context has until it ends.
func (a *args) setProperty() status {
	path, value := a.view(0), a.view(2)
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
	path, value = strings.TrimSuffix(path, "\x00"), s.keep(value)
	for i := range s.own {
		if s.own[i].Name == path {
			s.own[i].Value = value
			return statusOK
		}
	}
	s.own = append(s.own, edge.Field{Name: s.keep(path), Value: value})
	return statusOK
}

// getter appends the value of a property to b, if there is one; s is nil in the root
// context.
type getter func(b []byte, v *vm, s *stream) ([]byte, bool)

// property appends the value of a path, whose parts are joined by NUL.
func (v *vm) property(b []byte, path string) ([]byte, bool) {
	s := v.serving()
	if s != nil {
		for _, p := range s.own {
			if p.Name == path {
				return append(b, p.Value...), true
			}
		}
	}
	if get, ok := properties[path]; ok {
		return get(b, v, s)
	}
	for i, prefix := range fieldPrefixes {
		if name, ok := strings.CutPrefix(path, prefix); ok {
			l := v.lines(fieldKinds[i])
			return l.append(b, name)
		}
	}
	return nil, false
}

// The fields of these maps are properties each.
var (
	fieldPrefixes = [...]string{"request\x00headers\x00", "response\x00headers\x00", "response\x00trailers\x00"}
	fieldKinds    = [...]uint32{requestHeaders, responseHeaders, responseTrailers}
)

// properties are those of all guests, by path. What is not there is not found.
var properties = map[string]getter{
	"plugin_name":        plugin(func(f *Filter) string { return f.cfg.Name }),
	"plugin_root_id":     plugin(func(f *Filter) string { return f.cfg.Root }),
	"plugin_vm_id":       plugin(func(f *Filter) string { return f.cfg.VM }),
	"node\x00id":         plugin(func(f *Filter) string { return f.node }),
	"route_name":         text(func(s *stream) string { return s.x.Record.Route }),
	"cluster_name":       text(func(s *stream) string { return s.x.Record.Upstream }),
	"listener_direction": number(func(*stream) int64 { return 1 }), // inbound

	"request\x00path": func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil {
			return nil, false
		}
		return appendPath(b, &s.x.Request), true
	},
	"request\x00url_path":   text(func(s *stream) string { return s.x.Request.Path }),
	"request\x00query":      text(func(s *stream) string { return s.x.Request.Query }),
	"request\x00host":       text(func(s *stream) string { return s.x.Request.Authority }),
	"request\x00scheme":     text(func(s *stream) string { return s.x.Request.Scheme }),
	"request\x00method":     text(func(s *stream) string { return s.x.Request.Method }),
	"request\x00protocol":   text(func(s *stream) string { return strings.TrimSuffix(s.x.Request.Proto, ".0") }),
	"request\x00id":         text(func(s *stream) string { return s.x.Record.ID }),
	"request\x00referer":    text(func(s *stream) string { return s.x.Request.Fields.Get("referer") }),
	"request\x00useragent":  text(func(s *stream) string { return s.x.Request.Fields.Get("user-agent") }),
	"request\x00headers":    pairsOf(requestHeaders),
	"request\x00time":       number(func(s *stream) int64 { return s.x.Record.Start.UnixNano() }),
	"request\x00duration":   number(func(s *stream) int64 { return int64(time.Since(s.x.Record.Start)) }),
	"request\x00size":       number(func(s *stream) int64 { return max(s.x.Request.Length, 0) }),
	"request\x00total_size": number(func(s *stream) int64 { return max(s.x.Request.Length, 0) + sizeOf(&s.x.Request.Fields) }),

	"response\x00code":         number(func(s *stream) int64 { return int64(s.x.Response.Status) }).answered(),
	"response\x00code_details": text(func(s *stream) string { return s.x.Record.Why }).answered(),
	"response\x00flags":        number(func(s *stream) int64 { return flagsOf(s.x.Record.Err) }).answered(),
	"response\x00grpc_status":  getter(grpcStatus).answered(),
	"response\x00headers":      pairsOf(responseHeaders).answered(),
	"response\x00trailers":     pairsOf(responseTrailers).answered(),
	"response\x00size":         number(func(s *stream) int64 { return max(s.x.Response.Length, 0) }).answered(),
	"response\x00total_size": number(func(s *stream) int64 {
		return max(s.x.Response.Length, 0) + sizeOf(&s.x.Response.Fields)
	}).answered(),

	"source\x00address":      address(func(c *edge.Client) netip.AddrPort { return c.Addr }),
	"source\x00port":         port(func(c *edge.Client) netip.AddrPort { return c.Addr }),
	"destination\x00address": address(func(c *edge.Client) netip.AddrPort { return c.Local }),
	"destination\x00port":    port(func(c *edge.Client) netip.AddrPort { return c.Local }),
	"upstream\x00address":    text(func(s *stream) string { return s.x.Record.Endpoint }),
	"upstream\x00port": func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil {
			return nil, false
		}
		ap, err := netip.ParseAddrPort(s.x.Record.Endpoint)
		return appendNumber(b, int64(ap.Port())), err == nil
	},

	"connection\x00mtls":                           mutual,
	"connection\x00requested_server_name":          session(serverName),
	"connection\x00tls_version":                    session(tlsVersion),
	"connection\x00subject_peer_certificate":       peer(subject),
	"connection\x00dns_san_peer_certificate":       peer(dnsName),
	"connection\x00uri_san_peer_certificate":       peer(uriName),
	"connection\x00sha256_peer_certificate_digest": peer(digest),
	"connection\x00termination_details":            text(termination),
}

// answered is a property that there is once there is a response.
func (g getter) answered() getter {
	return func(b []byte, v *vm, s *stream) ([]byte, bool) {
		if s == nil || !s.answered {
			return nil, false
		}
		return g(b, v, s)
	}
}

func plugin(value func(f *Filter) string) getter {
	return func(b []byte, v *vm, _ *stream) ([]byte, bool) { return append(b, value(v.f)...), true }
}

// text is a property of an exchange that is not there if it is empty.
func text(value func(s *stream) string) getter {
	return func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil {
			return nil, false
		}
		t := value(s)
		return append(b, t...), t != ""
	}
}

func number(value func(s *stream) int64) getter {
	return func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil {
			return nil, false
		}
		return appendNumber(b, value(s)), true
	}
}

func appendNumber(b []byte, n int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(n)) }

// pairsOf is a map as a property.
func pairsOf(kind uint32) getter {
	return func(b []byte, v *vm, s *stream) ([]byte, bool) {
		l := v.lines(kind)
		if s == nil || l.fields == nil {
			return nil, false
		}
		return l.appendPairs(b), true
	}
}

func address(of func(c *edge.Client) netip.AddrPort) getter {
	return func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil || s.x.Client == nil {
			return nil, false
		}
		ap := of(s.x.Client)
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).AppendTo(b), ap.IsValid()
	}
}

func port(of func(c *edge.Client) netip.AddrPort) getter {
	return func(b []byte, _ *vm, s *stream) ([]byte, bool) {
		if s == nil || s.x.Client == nil {
			return nil, false
		}
		return appendNumber(b, int64(of(s.x.Client).Port())), true
	}
}

func grpcStatus(b []byte, _ *vm, s *stream) ([]byte, bool) {
	r := &s.x.Response
	value, ok := r.Fields.Lookup("grpc-status")
	if !ok && s.ending {
		value = r.Trailers.Get("grpc-status")
	}
	n, err := strconv.ParseUint(value, 10, 8)
	return appendNumber(b, int64(n)), err == nil
}

// flagsOf returns what Envoy's bits say of why there is no response of the upstream's,
// as far as it has one for that.
func flagsOf(err error) int64 {
	if err == nil {
		return 0
	}
	switch edge.AsError(err).Kind {
	case edge.DestinationUnavailable:
		return 1 << 1 // no healthy upstream
	case edge.ResponseTimeout, edge.ConnectionReadTimeout, edge.ConnectionWriteTimeout:
		return 1 << 2 // upstream request timeout
	case edge.ConnectionRefused, edge.ConnectionTimeout, edge.TLSProtocolError, edge.TLSCertificateError, edge.DNSError, edge.DNSTimeout:
		return 1 << 5 // upstream connection failure
	case edge.ConnectionTerminated, edge.ResponseIncomplete:
		return 1 << 6 // upstream connection termination
	case edge.ConnectionLimitReached:
		return 1 << 7 // upstream overflow
	case edge.NoRoute, edge.DestinationNotFound:
		return 1 << 8 // no route found
	case edge.ClientGone:
		return 1 << 14 // downstream connection termination
	case edge.ProtocolError, edge.ResponseHeaderSectionSize, edge.ResponseTransferCoding, edge.UpgradeFailed:
		return 1 << 23 // upstream protocol error
	}
	return 0
}

func sizeOf(f *edge.Fields) (n int64) {
	for i := range f.Len() {
		l := f.At(i)
		n += int64(len(l.Name) + len(l.Value))
	}
	return n
}
