package accesslog

import (
	"strconv"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// template appends the line of x by a template. What has nothing to say is "-".
func (e *encoder) template(x *edge.Exchange, now time.Time, parts []part) {
	for i := range parts {
		p := &parts[i]
		e.b = append(e.b, p.before...)
		if p.name == nameNothing {
			break
		}
		n := len(e.b)
		if e.value(x, now, p); len(e.b) == n {
			e.b = append(e.b, '-')
		}
	}
	e.b = append(e.b, '\n')
}

// value appends what p names, or nothing.
func (e *encoder) value(x *edge.Exchange, now time.Time, p *part) {
	r := &x.Record
	switch p.name {
	case nameTS:
		e.timestamp(r.Start)
	case nameID:
		e.ascii(r.ID, e.maxValue)
	case nameSite:
		e.ascii(r.Site, e.maxValue)
	case nameRoute:
		e.ascii(r.Route, e.maxValue)
	case nameClientIP:
		e.ascii(r.ClientIP, e.maxValue)
	case nameMethod:
		e.ascii(r.Method, e.maxValue)
	case nameURI:
		e.target(r)
	case nameProto:
		e.ascii(x.Request.Proto, e.maxValue)
	case nameStatus:
		e.positive(int64(x.Response.Status))
	case nameWhy:
		e.ascii(r.Why, e.maxValue)
	case nameFailure:
		if r.Err != nil {
			e.ascii(r.Err.Error(), e.maxValue)
		}
	case nameCache:
		e.ascii(r.Cache, e.maxValue)
	case nameBytesIn:
		e.b = strconv.AppendInt(e.b, r.Received, 10)
	case nameBytesOut:
		e.b = strconv.AppendInt(e.b, r.Sent, 10)
	case nameEncoding:
		e.ascii(r.Encoding, e.maxValue)
	case nameMSTotal:
		e.ms(now.Sub(r.Start))
	case nameMSFilters:
		if len(r.Filters) > 0 {
			e.ms(inFilters(r.Filters))
		}
	case nameMSFunction:
		if r.Function.Name != "" {
			e.ms(r.Function.Took)
		}
	case nameMSUpstream:
		if r.Waited > 0 {
			e.ms(r.Waited)
		}
	case nameUpstream:
		e.ascii(r.Upstream, e.maxValue)
	case nameEndpoint:
		e.ascii(r.Endpoint, e.maxValue)
	case nameTries:
		e.positive(int64(r.Tries))
	case nameArm:
		e.ascii(r.Arm, e.maxValue)
	case nameFilters:
		e.textFilters(r.Filters)
	case nameFunction:
		e.ascii(r.Function.Name, e.maxValue)
		e.version(&r.Function)
	case nameGuest:
		e.textGuest(&r.Guest)
	case nameTLSVersion:
		if x.Client != nil && x.Client.TLS != nil {
			e.b = append(e.b, tlsVersion(x.Client.TLS)...)
		}
	case nameTLSKX:
		if x.Client != nil && x.Client.TLS != nil && x.Client.TLS.CurveID != 0 {
			e.b = append(e.b, x.Client.TLS.CurveID.String()...)
		}
	case namePath:
		e.ascii(r.Path, e.maxValue)
	case nameQuery:
		e.ascii(r.Query, e.maxValue)
	case nameHost:
		e.ascii(x.Request.Authority, e.maxValue)
	case nameScheme:
		e.ascii(x.Request.Scheme, e.maxValue)
	case nameRequestLine:
		e.requestLine(r, x.Request.Proto)
	case nameTimeCommon:
		e.commonTime(r.Start)
	case nameBytesCommon:
		e.positive(r.Sent)
	case nameRequestField:
		e.field(&x.Request.Fields, &p.field, x.Request.Authority)
	case nameResponseField:
		e.field(&x.Response.Fields, &p.field, "")
	}
}

func (e *encoder) positive(n int64) {
	if n > 0 {
		e.b = strconv.AppendInt(e.b, n, 10)
	}
}

// requestLine appends three words, unless nothing could be read of the request.
func (e *encoder) requestLine(r *edge.Record, proto string) {
	if r.Method == "" && r.Path == "" {
		return
	}
	e.ascii(orDash(r.Method), e.maxValue)
	e.b = append(e.b, ' ')
	if r.Path == "" {
		e.b = append(e.b, '-')
	}
	e.target(r)
	e.b = append(e.b, ' ')
	e.ascii(orDash(proto), e.maxValue)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// commonTime appends 21/Nov/2026:05:37:02 +0000.
func (e *encoder) commonTime(t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	const pattern = "00/Jan/0000:00:00:00 +0000"
	e.b = append(e.b, pattern...)
	b := e.b[len(e.b)-len(pattern):]
	two(b[0:], day)
	copy(b[3:], months[3*(month-1):3*month])
	two(b[7:], year/100)
	two(b[9:], year)
	two(b[12:], hour)
	two(b[15:], minute)
	two(b[18:], second)
}

// textFilters appends what each filter took: name@version:ms, with commas between
// them.
func (e *encoder) textFilters(runs []edge.FilterRun) {
	for i := range runs {
		f := &runs[i]
		if ranBefore(runs[:i], f) {
			continue
		}
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.ascii(f.Name, e.maxValue)
		e.version(f)
		e.b = append(e.b, ':')
		e.ms(tookFrom(runs[i:], f))
	}
}

// textGuest appends what guests have added: name=text, with semicolons between them.
func (e *encoder) textGuest(f *edge.Fields) {
	for i := range f.Len() {
		if i > 0 {
			e.b = append(e.b, ';')
		}
		e.ascii(f.At(i).Name, e.maxValue)
		e.b = append(e.b, '=')
		e.ascii(f.At(i).Value, e.maxValue)
	}
}

// printable is the characters that stand for themselves in common, combined and
// templates.
var printable = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// ascii appends s of at most room bytes as Apache does: what is not printable
// ASCII becomes \xhh, but for the few that have a letter, and " and \ get a \ in
// front. It returns how much room is left; -1 after what had to be cut.
func (e *encoder) ascii(s string, room int) int {
	long := len(s) > room
	if long {
		s = s[:room]
	}
	start := 0
	for i := range len(s) {
		c := s[i]
		if printable[c] {
			continue
		}
		e.b = append(e.b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			e.b = append(e.b, '\\', c)
		case '\b':
			e.b = append(e.b, `\b`...)
		case '\n':
			e.b = append(e.b, `\n`...)
		case '\r':
			e.b = append(e.b, `\r`...)
		case '\t':
			e.b = append(e.b, `\t`...)
		case '\v':
			e.b = append(e.b, `\v`...)
		default:
			e.b = append(e.b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	e.b = append(e.b, s[start:]...)
	if long {
		e.b = append(e.b, cut...)
		return -1
	}
	return room - len(s)
}

const hex = "0123456789abcdef"
