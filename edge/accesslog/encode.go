package accesslog

import (
	"crypto/tls"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge"
)

// encoder appends JSON to b.
type encoder struct {
	b        []byte
	maxValue int // bytes of a string
}

// exchange appends the line of x.
func (e *encoder) exchange(x *edge.Exchange, now time.Time, fields []field) {
	req, r := &x.Request, &x.Record
	e.time(r.Start)
	e.text(`,"id":`, r.ID)
	e.text(`,"site":`, r.Site)
	e.text(`,"route":`, r.Route)
	if x.Client != nil {
		e.text(`,"client_ip":`, x.Record.ClientIP)
	}
	e.text(`,"method":`, r.Method)
	e.uri(r)
	e.text(`,"proto":`, req.Proto)
	e.number(`,"status":`, int64(x.Response.Status))
	e.text(`,"why":`, r.Why)
	if r.Err != nil {
		e.text(`,"error":`, r.Err.Error())
	}
	e.text(`,"cache":`, r.Cache)
	e.number(`,"bytes_in":`, r.Received)
	e.number(`,"bytes_out":`, r.Sent)
	e.text(`,"encoding":`, r.Encoding)
	e.times(r, now)
	e.text(`,"upstream":`, r.Upstream)
	if r.Endpoint != r.Upstream {
		e.text(`,"endpoint":`, r.Endpoint)
	}
	if r.Tries > 0 {
		e.number(`,"tries":`, int64(r.Tries))
	}
	e.text(`,"arm":`, r.Arm)
	e.filters(r.Filters)
	if x.Client != nil && x.Client.TLS != nil {
		e.tls(x.Client.TLS)
	}
	e.fields(&req.Fields, fields)
	e.b = append(e.b, '}', '\n')
}

// time appends RFC 3339 by hand: AppendFormat would read its layout for each line.
func (e *encoder) time(t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	ms := t.Nanosecond() / 1e6
	e.b = append(e.b, `{"ts":"0000-00-00T00:00:00.000Z"`...)
	digits := e.b[len(e.b)-len(`0000-00-00T00:00:00.000Z"`):]
	two := func(at, n int) { digits[at], digits[at+1] = byte('0'+n/10%10), byte('0'+n%10) }
	two(0, year/100)
	two(2, year)
	two(5, int(month))
	two(8, day)
	two(11, hour)
	two(14, minute)
	two(17, second)
	two(20, ms/10)
	digits[22] = byte('0' + ms%10)
}

// text appends a member, unless its value is empty.
func (e *encoder) text(key, value string) {
	if value != "" {
		e.b = append(e.b, key...)
		e.quoted(value)
	}
}

func (e *encoder) number(key string, n int64) {
	e.b = append(e.b, key...)
	e.b = strconv.AppendInt(e.b, n, 10)
}

// uri appends the request's target in origin form.
func (e *encoder) uri(r *edge.Record) {
	if r.Path == "" && r.Query == "" {
		return
	}
	e.b = append(e.b, `,"uri":"`...)
	if rest := e.escaped(r.Path, e.maxValue); r.Query != "" && rest > 0 {
		e.b = append(e.b, '?')
		e.escaped(r.Query, rest)
	}
	e.b = append(e.b, '"')
}

func (e *encoder) times(r *edge.Record, now time.Time) {
	e.b = append(e.b, `,"ms":{"total":`...)
	e.ms(now.Sub(r.Start))
	if len(r.Filters) > 0 {
		e.b = append(e.b, `,"filters":`...)
		var sum time.Duration
		for i := range r.Filters {
			sum += r.Filters[i].Took
		}
		e.ms(sum)
	}
	if r.Waited > 0 {
		e.b = append(e.b, `,"upstream":`...)
		e.ms(r.Waited)
	}
	e.b = append(e.b, '}')
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
		took := f.Took
		for j := i + 1; j < len(runs); j++ {
			if runs[j].Name == f.Name && runs[j].Version == f.Version {
				took += runs[j].Took
			}
		}
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, '"')
		e.escaped(f.Name, e.maxValue)
		if f.Version != 0 {
			e.b = append(e.b, '@')
			e.b = strconv.AppendInt(e.b, int64(f.Version), 10)
		}
		e.b = append(e.b, '"', ':')
		e.ms(took)
	}
	e.b = append(e.b, '}')
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
	version := "other"
	switch s.Version {
	case tls.VersionTLS12:
		version = "1.2"
	case tls.VersionTLS13:
		version = "1.3"
	}
	e.text(`,"tls":{"version":`, version)
	if s.CurveID != 0 { // RSA key exchange has no group
		e.text(`,"kx":`, s.CurveID.String())
	}
	e.b = append(e.b, '}')
}

// fields appends the request fields that are asked for and there. Several lines
// of a name are one list (RFC 9110, section 5.3).
func (e *encoder) fields(have *edge.Fields, want []field) {
	some := false
	for i := range want {
		w := &want[i]
		lines := 0
		rest := e.maxValue
		for j := range have.Len() {
			f := have.At(j)
			if !edge.EqualFold(f.Name, w.name) {
				continue
			}
			lines++
			switch {
			case lines > 1 && w.redacted:
				continue
			case lines > 1 && rest > 0:
				e.b = append(e.b, ", "...)
			case lines == 1 && some:
				e.b = append(e.b, ',')
			case lines == 1:
				e.b = append(e.b, `,"fields":{`...)
				some = true
			}
			if lines == 1 {
				e.quoted(w.name)
				e.b = append(e.b, ':', '"')
			}
			if w.redacted {
				e.b = append(e.b, "[redacted]"...)
			} else if rest > 0 {
				rest = e.escaped(f.Value, rest)
			}
		}
		if lines > 0 {
			e.b = append(e.b, '"')
		}
	}
	if some {
		e.b = append(e.b, '}')
	}
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
// much room is left; 0 after what had to be cut. Bytes that are not UTF-8 become
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
			const hex = "0123456789abcdef"
			e.b = append(e.b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			e.b = append(e.b, s[i:i+n]...)
		}
		i += n
		start = i
	}
	e.b = append(e.b, s[start:]...)
	if long {
		e.b = append(e.b, "..."...)
		return 0
	}
	return room - len(s)
}
