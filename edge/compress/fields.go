package compress

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// setEncoded makes the response's fields those of its encoded form.
func setEncoded(x *edge.Exchange, coding string, length int64) {
	f := &x.Response.Fields
	x.Response.Length = length
	f.Set("Content-Encoding", coding)
	weaken(x)
	// Ranges and digests are of the representation, of which the coding is a part
	// (RFC 9110, section 14.3; RFC 9530, sections 2 and 3; RFC 3230).
	f.DelFunc(func(name, _ string) bool {
		return edge.EqualFold(name, "Accept-Ranges") ||
			edge.EqualFold(name, "Content-Digest") ||
			edge.EqualFold(name, "Repr-Digest") ||
			edge.EqualFold(name, "Digest") ||
			edge.EqualFold(name, "Content-MD5") ||
			edge.EqualFold(name, "Content-Length")
	})
}

// weaken makes a strong entity tag weak: the bytes are not the origin's (RFC
// 9110, section 8.8.1).
func weaken(x *edge.Exchange) {
	if tag, ok := strongTag(&x.Response.Fields); ok {
		x.Response.Fields.Set("ETag", x.Concat("W/", tag))
	}
}

// strongTag returns the response's entity tag if it is a strong one.
func strongTag(f *edge.Fields) (string, bool) {
	tag := f.Get("ETag")
	return tag, len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
}

// addVary says that the response depends on Accept-Encoding.
func addVary(f *edge.Fields) {
	for v := range f.Values("Vary") {
		for v != "" {
			var member string
			member, v, _ = strings.Cut(v, ",")
			member = strings.Trim(member, " \t")
			if member == "*" || edge.EqualFold(member, "Accept-Encoding") {
				return
			}
		}
	}
	f.Add("Vary", "Accept-Encoding")
}

// namesWeakly reports whether If-None-Match has the weak form of a strong tag.
func namesWeakly(f *edge.Fields, tag string) bool {
	for v := range f.Values("If-None-Match") {
		for {
			i := strings.Index(v, tag)
			if i < 0 {
				break
			}
			if i >= 2 && v[i-2:i] == "W/" {
				return true
			}
			v = v[i+len(tag):]
		}
	}
	return false
}

// revalidates reports whether the client's own copy is the encoded form of the
// response. The origin ought to have seen that, for If-None-Match compares weakly
// (RFC 9110, section 13.1.2); but one that compares bytes does not find its strong
// tag in the weak one that we made of it.
func revalidates(x *edge.Exchange) bool {
	if x.Response.Status != 200 || x.Request.Method != "GET" && x.Request.Method != "HEAD" {
		return false
	}
	tag, ok := strongTag(&x.Response.Fields)
	return ok && namesWeakly(&x.Request.Fields, tag)
}

// becomeNotModified answers 304 instead of sending what the client has.
func becomeNotModified(x *edge.Exchange) {
	weaken(x)
	r := &x.Response
	if r.Body != nil {
		r.Body.Close()
	}
	r.Status, r.Body, r.Length = 304, nil, 0
	// RFC 9110, section 15.4.5: no metadata of the representation but what guides
	// the client's cache.
	r.Fields.DelFunc(func(name, _ string) bool {
		return len(name) > len("Content-") && edge.EqualFold(name[:len("Content-")], "Content-") && !edge.EqualFold(name, "Content-Location") ||
			edge.EqualFold(name, "Last-Modified") || edge.EqualFold(name, "Accept-Ranges")
	})
	r.Trailers.Reset()
}

// notModified gives a 304 of the next handler the fields that the encoded form
// has.
func notModified(x *edge.Exchange) {
	if tag, ok := strongTag(&x.Response.Fields); ok && namesWeakly(&x.Request.Fields, tag) {
		weaken(x)
		addVary(&x.Response.Fields)
	}
}
