package accesslog

import (
	"crypto/tls"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge"
)

// encoder appends to b.
type encoder struct {
	b        []byte
	maxValue int  // bytes of a string
	text     bool // by a template; else JSON
}

// object appends the line of x as JSON.
func (e *encoder) object(x *edge.Exchange, now time.Time, fields []field) {
	req, r := &x.Request, &x.Record
	e.b = append(e.b, `{"ts":"`...)
	e.timestamp(r.Start)
	e.b = append(e.b, '"')
	e.member(`,"id":`, r.ID)
	e.member(`,"site":`, r.Site)
	e.member(`,"route":`, r.Route)
	if x.Client != nil {
		e.member(`,"client_ip":`, x.Record.ClientIP)
	}
	e.member(`,"method":`, r.Method)
	e.uri(r)
	e.member(`,"proto":`, req.Proto)
	e.number(`,"status":`, int64(x.Response.Status))
	e.member(`,"why":`, r.Why)
	if r.Err != nil {
		e.member(`,"error":`, r.Err.Error())
	}
	e.member(`,"cache":`, r.Cache)
	e.number(`,"bytes_in":`, r.Received)
	e.number(`,"bytes_out":`, r.Sent)
	e.member(`,"encoding":`, r.Encoding)
	e.times(r, now)
	e.member(`,"upstream":`, r.Upstream)
	if r.Endpoint != r.Upstream {
		e.member(`,"endpoint":`, r.Endpoint)
	}
	if r.Tries > 0 {
		e.number(`,"tries":`, int64(r.Tries))
	}
	e.member(`,"arm":`, r.Arm)
	e.filters(r.Filters)
	e.function(&r.Function)
	e.guest(&r.Guest)
	if x.Client != nil && x.Client.TLS != nil {
		e.tls(x.Client.TLS)
	}
	e.fields(req, fields)
	e.b = append(e.b, '}', '\n')
}

// timestamp appends RFC 3339 by hand: AppendFormat would read its layout for each
// line.
func (e *encoder) timestamp(t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	ms := t.Nanosecond() / 1e6
	const pattern = "0000-00-00T00:00:00.000Z"
	e.b = append(e.b, pattern...)
	b := e.b[len(e.b)-len(pattern):]
	two(b[0:], year/100)
	two(b[2:], year)
	two(b[5:], int(month))
	two(b[8:], day)
	two(b[11:], hour)
	two(b[14:], minute)
	two(b[17:], second)
	two(b[20:], ms/10)
	b[22] = byte('0' + ms%10)
}

// two writes the last two digits of n.
func two(b []byte, n int) {
	b[0], b[1] = byte('0'+n/10%10), byte('0'+n%10)
}

// member appends a member, unless its value is empty.
func (e *encoder) member(key, value string) {
	if value != "" {
		e.b = append(e.b, key...)
		e.quoted(value)
	}
}

func (e *encoder) number(key string, n int64) {
	e.b = append(e.b, key...)
	e.b = strconv.AppendInt(e.b, n, 10)
}

// uri appends the request's target, if there is one.
func (e *encoder) uri(r *edge.Record) {
	if r.Path == "" && r.Query == "" {
		return
	}
	e.b = append(e.b, `,"uri":"`...)
	e.target(r)
	e.b = append(e.b, '"')
}

// target appends the inside of a string: the request's target in origin form.
func (e *encoder) target(r *edge.Record) {
	rest := e.inside(r.Path, e.maxValue)
	if r.Query != "" {
		e.more("?", r.Query, rest)
	}
}

func (e *encoder) times(r *edge.Record, now time.Time) {
	e.b = append(e.b, `,"ms":{"total":`...)
	e.ms(now.Sub(r.Start))
	if len(r.Filters) > 0 {
		e.b = append(e.b, `,"filters":`...)
		e.ms(inFilters(r.Filters))
	}
	if r.Function.Name != "" {
		e.b = append(e.b, `,"function":`...)
		e.ms(r.Function.Took)
	}
	if r.Waited > 0 {
		e.b = append(e.b, `,"upstream":`...)
		e.ms(r.Waited)
	}
	e.b = append(e.b, '}')
}

// inFilters returns what all filters took.
func inFilters(runs []edge.FilterRun) (sum time.Duration) {
	for i := range runs {
		sum += runs[i].Took
	}
	return sum
}

// ms appends d in milliseconds, to the microsecond.
func (e *encoder) ms(d time.Duration) {
	us := max(0, d.Microseconds())
	e.b = strconv.AppendInt(e.b, us/1000, 10)
	if frac := us % 1000; frac != 0 {
		e.b = append(e.b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
		for e.b[len(e.b)-1] == '0' {
			e.b = e.b[:len(e.b)-1]
		}
	}
}

// filters appends what each filter took. One that ran twice is one member, as a
// name must not come twice in an object (RFC 8259, section 4).
func (e *encoder) filters(runs []edge.FilterRun) {
	if len(runs) == 0 {
		return
	}
	e.b = append(e.b, `,"filters":{`...)
	for i := range runs {
		f := &runs[i]
		if ranBefore(runs[:i], f) {
			continue
		}
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, '"')
		e.escaped(f.Name, e.maxValue)
		e.version(f)
		e.b = append(e.b, '"', ':')
		e.ms(tookFrom(runs[i:], f))
	}
	e.b = append(e.b, '}')
}

// version appends @ and the version of f, unless f is built in.
func (e *encoder) version(f *edge.FilterRun) {
	if f.Version != 0 {
		e.b = append(e.b, '@')
		e.b = strconv.AppendInt(e.b, int64(f.Version), 10)
	}
}

func (e *encoder) function(f *edge.FilterRun) {
	if f.Name != "" {
		e.b = append(e.b, `,"function":"`...)
		e.escaped(f.Name, e.maxValue)
		e.version(f)
		e.b = append(e.b, '"')
	}
}

// guest appends what guests have added.
func (e *encoder) guest(f *edge.Fields) {
	if f.Len() == 0 {
		return
	}
	e.b = append(e.b, `,"guest":{`...)
	for i := range f.Len() {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.quoted(f.At(i).Name)
		e.b = append(e.b, ':')
		e.quoted(f.At(i).Value)
	}
	e.b = append(e.b, '}')
}

// tookFrom returns what all runs of f took.
func tookFrom(runs []edge.FilterRun, f *edge.FilterRun) (sum time.Duration) {
	for i := range runs {
		if runs[i].Name == f.Name && runs[i].Version == f.Version {
			sum += runs[i].Took
		}
	}
	return sum
}

func ranBefore(runs []edge.FilterRun, f *edge.FilterRun) bool {
	for i := range runs {
		if runs[i].Name == f.Name && runs[i].Version == f.Version {
			return true
		}
	}
	return false
}

func (e *encoder) tls(s *tls.ConnectionState) {
	e.member(`,"tls":{"version":`, tlsVersion(s))
	if s.CurveID != 0 { // RSA key exchange has no group
		e.member(`,"kx":`, s.CurveID.String())
	}
	e.b = append(e.b, '}')
}

func tlsVersion(s *tls.ConnectionState) string {
	switch s.Version {
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "other"
}

// fields appends the request fields that are asked for and there.
func (e *encoder) fields(r *edge.Request, want []field) {
	const open = `,"fields":{`
	some := false
	for i := range want {
		before := len(e.b)
		if some {
			e.b = append(e.b, ',')
		} else {
			e.b = append(e.b, open...)
		}
		e.quoted(want[i].name)
		e.b = append(e.b, ':', '"')
		if !e.field(&r.Fields, &want[i], r.Authority) {
			e.b = e.b[:before]
			continue
		}
		e.b = append(e.b, '"')
		some = true
	}
	if some {
		e.b = append(e.b, '}')
	}
}

const redacted = "[redacted]"

// field appends the inside of a string: the value of a field, if it is there.
// Several lines are one list (RFC 9110, section 5.3). Host is never among the
// fields: authority stands for it.
func (e *encoder) field(have *edge.Fields, want *field, authority string) (found bool) {
	rest := e.maxValue
	for i := range have.Len() {
		f := have.At(i)
		switch {
		case !edge.EqualFold(f.Name, want.name):
			continue
		case want.redacted:
			e.b = append(e.b, redacted...)
			return true
		case found:
			rest = e.more(", ", f.Value, rest)
		default:
			rest = e.inside(f.Value, rest)
		}
		found = true
	}
	if found || authority == "" || !edge.EqualFold(want.name, "host") {
		return found
	}
	if want.redacted {
		authority = redacted
	}
	e.inside(authority, rest)
	return true
}

// more appends another part of a string, behind a separator.
func (e *encoder) more(separator, s string, room int) int {
	if room < 0 {
		return room
	}
	if room == 0 {
		e.b = append(e.b, cut...)
		return -1
	}
	e.b = append(e.b, separator...)
	return e.inside(s, room)
}

// cut stands for the rest of a long value.
const cut = "..."

// inside appends the inside of a string of at most room bytes, and returns how
// much room is left; -1 after what had to be cut.
func (e *encoder) inside(s string, room int) int {
	if e.text {
		return e.ascii(s, room)
	}
	return e.escaped(s, room)
}

func (e *encoder) quoted(s string) {
	e.b = append(e.b, '"')
	e.escaped(s, e.maxValue)
	e.b = append(e.b, '"')
}

// plain is the ASCII characters that stand for themselves in a JSON string. DEL
// would, but steers terminals.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// escaped appends the inside of a string of at most room bytes, and returns how
// much room is left; -1 after what had to be cut. Bytes that are not UTF-8 become
// U+FFFD each, and nothing of s can end the string, the line, or steer a
// terminal.
func (e *encoder) escaped(s string, room int) int {
	long := len(s) > room
	if long {
		for room > 0 && !utf8.RuneStart(s[room]) {
			room--
		}
		s = s[:room]
	}
	start := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		e.b = append(e.b, s[start:i]...)
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			e.b = append(e.b, "\uFFFD"...)
		case r == '"' || r == '\\':
			e.b = append(e.b, '\\', byte(r))
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
			e.b = append(e.b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			e.b = append(e.b, s[i:i+n]...)
		}
		i += n
		start = i
	}
	e.b = append(e.b, s[start:]...)
	if long {
		e.b = append(e.b, cut...)
		return -1
	}
	return room - len(s)
}
