package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/accesslog"
)

func logKeys(access object[Access]) object[Log] {
	names := func(to *[]string, d *decoder, v value) {
		*to = nil
		for _, item := range d.few(v) {
			s, ok := d.text(item, "the name of a field")
			switch {
			case !ok:
			case !edge.IsToken(s):
				d.wants(item, "the name of a field")
			default:
				*to = append(*to, strings.ToLower(s))
			}
		}
	}
	return object[Log]{"log", "What is written down.", []key[Log]{
		{"access", "stdout", or(wordForm(outputs...), mapForm(access.section())), "Where a line for each exchange goes.",
			func(d *decoder, v value, l *Log) { d.access(v, &l.Access) }},
		{"errors", "stderr", wordForm(outputs...), "Where everything else goes.", func(d *decoder, v value, l *Log) { word(d, v, &l.Errors, outputs, outputValues) }},
		{"level", "info", wordForm("debug", "info", "warn", "error"), "The least level of what goes to `errors`.", func(d *decoder, v value, l *Log) {
			word(d, v, &l.Level, []string{"debug", "info", "warn", "error"}, []Level{LevelDebug, LevelInfo, LevelWarn, LevelError})
		}},
		{"redact", "[authorization, cookie, proxy-authorization]", listOf(fieldForm), "Fields of requests whose values are never written.", func(d *decoder, v value, l *Log) { names(&l.Redact, d, v) }},
		{"fields", "", listOf(fieldForm), "Fields of requests that a line of JSON carries.", func(d *decoder, v value, l *Log) { names(&l.Fields, d, v) }},
	}}
}

// outputs are the words for the outputs.
var (
	outputs      = []string{"stdout", "stderr", "off"}
	outputValues = []Output{Stdout, Stderr, Off}
)

func accessKeys(rotate object[Access]) object[Access] {
	return object[Access]{"access log", "A line for each exchange.", []key[Access]{
		{"file", "stdout", or(wordForm("stdout", "stderr"), pathForm), "Where lines go. A file is opened anew on the signal USR1.", func(d *decoder, v value, a *Access) {
			s, ok := d.text(v, "stdout, stderr or a path")
			a.Output = Off
			switch {
			case !ok:
			case s == "stdout":
				a.Output = Stdout
			case s == "stderr":
				a.Output = Stderr
			case s == "off":
				d.errorf(v, "off is no file").Hint = "write access: off; a file of that name is ./off"
			default:
				a.File, _ = d.resolve(v, s)
			}
		}},
		{"format", "json", anyText("`json`, `common`, `combined`, or a template like `{client_ip} {status} {request.Referer}`"), "What a line looks like.",
			func(d *decoder, v value, a *Access) { d.format(v, a) }},
		{"rotate", "off", or(offForm, scalarForm("a sentence: `100MB`, `24h`, `100MB or 24h`", `^\S+( +or +\S+)?$`), mapForm(rotate.section())),
			"When a new file is begun: at a size, after a time, or at what comes first.", func(d *decoder, v value, a *Access) { d.rotate(v, a) }},
		{"keep", "14", numberForm(0, 10_000), "How many files are kept beside the current one; 0 keeps all.", func(d *decoder, v value, a *Access) { d.number(v, &a.Keep, 0, 10_000) }},
		{"compress", "yes", switchForm, "Whether the files that are kept are compressed (gzip).", func(d *decoder, v value, a *Access) { d.onOff(v, &a.Compress) }},
	}}
}

// What a file has room for, at least.
const (
	minRotateSize = 64 << 10
	minRotateAge  = time.Minute
)

func rotateKeys() object[Access] {
	return object[Access]{"rotate", "When a new file is begun.", []key[Access]{
		{"size", "", sizeForm, "How large a file is at most.", func(d *decoder, v value, a *Access) { d.size(v, &a.Size, minRotateSize, maxSize) }},
		{"age", "", durationForm, "How long a file spans at most, counted from midnight UTC.", func(d *decoder, v value, a *Access) { d.duration(v, &a.Age, minRotateAge, maxDuration) }},
	}}
}

// log reads all that is written down.
func (d *decoder) log(v value, l *Log) {
	have := d.grammar.log.decode(d, v, l)
	if fields, ok := have["fields"]; ok && len(l.Fields) > 0 && l.Access.Format != "json" {
		d.problems.Warnf(d.place(fields), "only lines of JSON carry these").Hint = "a template names them like {request." + l.Fields[0] + "}"
	}
}

// access reads where the access log goes, or the whole of it.
func (d *decoder) access(v value, a *Access) {
	if v.kind != mapping {
		if s, ok := d.text(v, "stdout, stderr, off or a map"); ok && strings.ContainsAny(s, "/.") && !d.reference(v) {
			d.wants(v, enumerate(outputs, "or")).Hint = "a file is written { file: " + shorten(s) + " }"
			return
		} else if ok {
			word(d, v, &a.Output, outputs, outputValues)
		}
		return
	}
	have := d.grammar.access.decode(d, v, a)
	for _, name := range []string{"rotate", "keep", "compress"} {
		child, ok := have[name]
		_, rotate := have["rotate"]
		switch {
		case !ok:
		case a.Output != Off:
			to := map[Output]string{Stdout: "stdout", Stderr: "stderr"}[a.Output]
			d.errorf(child, "%s is about files, and the lines go to %s", name, to).Hint = "write file: and a path"
		case !rotate:
			d.problems.Warnf(d.place(child), "%s is about the files that rotate makes, and there is no rotate", name).Hint = "write rotate: 100MB or 24h"
		}
	}
}

func (d *decoder) format(v value, a *Access) {
	s, ok := d.text(v, "json, common, combined or a template")
	if !ok {
		return
	}
	if _, err := accesslog.ParseFormat(s); err != nil {
		if d.reference(v) {
			d.errorf(v, "%s is no format", d.quote(v))
			return
		}
		message, meant, found := strings.Cut(err.Error(), "; did you mean ")
		p := d.errorf(v, "%s", message)
		if found {
			p.Hint = "did you mean " + meant
		}
		return
	}
	a.Format = s
}

// rotate reads off, SIZE, AGE, SIZE or AGE.
func (d *decoder) rotate(v value, a *Access) {
	if v.kind == mapping {
		if have := d.grammar.rotate.decode(d, v, a); have != nil && len(have) == 0 {
			d.errorf(v, "rotate needs a size, an age or both")
		}
		return
	}
	s, ok := d.text(v, "off, or a sentence like 100MB or 24h")
	if !ok {
		return
	}
	if on, ok := isSwitch(s); ok && !on {
		return
	}
	size, age, err := parseRotate(s)
	switch {
	case err != nil:
		d.errorf(v, "%s says not when to rotate: %v", d.quote(v), d.hide(v, err)).Hint = "write it like 100MB, 24h, or 100MB or 24h"
	case size != 0 && size < minRotateSize:
		d.errorf(v, "a file of %s is too small; at least %s", FormatSize(size), FormatSize(minRotateSize))
	case age != 0 && age < minRotateAge:
		d.errorf(v, "%s is too short; at least %s", formatDuration(age), formatDuration(minRotateAge))
	default:
		a.Size, a.Age = size, age
	}
}

// parseRotate reads a size, a duration, or both with "or" between them. What is
// not there is 0.
func parseRotate(s string) (size int64, age time.Duration, err error) {
	w := words(s)
	switch {
	case len(w) == 0:
		return 0, 0, errors.New("empty")
	case len(w) == 2, len(w) == 3 && w[1] != "or", len(w) > 3:
		return 0, 0, errors.New("between a size and a duration stands or, and nothing else")
	case len(w) == 3:
		w = []string{w[0], w[2]}
	}
	for _, part := range w {
		n, sizeErr := parseSize(part)
		t, ageErr := parseDuration(part)
		switch {
		case sizeErr == nil && size != 0:
			return 0, 0, errors.New("there are two sizes")
		case ageErr == nil && age != 0:
			return 0, 0, errors.New("there are two durations")
		case sizeErr == nil && n > 0:
			size = n
		case ageErr == nil && t > 0:
			age = t
		default:
			return 0, 0, fmt.Errorf("%q is neither a size nor a duration", shorten(part))
		}
	}
	return size, age, nil
}

func metricsKeys() object[Metrics] {
	return object[Metrics]{"metrics", "The metrics for Prometheus, which the admin API has too.", []key[Metrics]{
		{"listen", "", listenForm, "An address of their own, where they are at `/metrics`.", func(d *decoder, v value, m *Metrics) { d.metrics(v, m) }},
	}}
}

// metrics reads the address of the metrics, or a map with it.
func (d *decoder) metrics(v value, m *Metrics) {
	if v.kind == mapping {
		d.need(v, d.grammar.metrics.decode(d, v, m), "listen")
		return
	}
	s, ok := d.text(v, "an address like 127.0.0.1:2025")
	if !ok {
		return
	}
	address, err := parseListen(s)
	if err != nil {
		d.wrong(v, "address", err)
		return
	}
	m.Listen = &Address{Place: d.place(v), Network: "tcp", Address: address}
	if !isLoopback(address) {
		d.problems.Warnf(d.place(v), "%s is not a loopback address: who reaches it can read how much is served, and the names of sites, routes and upstreams", address).Hint =
			"a firewall in front of it will do, or an address like 127.0.0.1:2025"
	}
}

// maxTrust is how many networks are trusted at most.
const maxTrust = 10_000

// trust reads the networks whose word is believed.
func (d *decoder) trust(v value) []netip.Prefix {
	var out []netip.Prefix
	items := v.list()
	if len(items) > maxTrust {
		d.errorf(items[maxTrust], "there are %d networks here, more than %d", len(items), maxTrust)
		return nil
	}
	seen := make(map[netip.Prefix]bool, len(items))
	for _, item := range items {
		s, ok := d.text(item, "an address or a network like 10.0.0.0/8")
		if !ok {
			continue
		}
		p, err := parseNetwork(s)
		if err != nil {
			d.wrong(item, "network", err)
			continue
		}
		switch {
		case seen[p]:
			d.problems.Warnf(d.place(item), "the network %s stands here twice", p)
			continue
		case p.Bits() == 0:
			d.problems.Warnf(d.place(item), "%s is everybody: any client can claim any address, scheme and request id", p).Hint =
				"name the networks of the proxies in front"
		}
		seen[p] = true
		out = append(out, p)
	}
	return out
}

// parseNetwork reads an address or a prefix. What is mapped into IPv6 becomes the
// IPv4 that it is.
func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		switch {
		case err != nil && strings.Contains(s, "*"):
			return netip.Prefix{}, &hinted{"a network is written with its length", "like 10.0.0.0/8"}
		case err != nil:
			return netip.Prefix{}, &hinted{"it is neither an address nor a network", "write it like 10.0.0.0/8, 2001:db8::/32 or 127.0.0.1"}
		case a.Zone() != "":
			return netip.Prefix{}, errors.New("an address here has no zone")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, &hinted{"it is neither an address nor a network", "write it like 10.0.0.0/8, 2001:db8::/32 or 127.0.0.1"}
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, &hinted{"it is more than the IPv4 that is mapped into IPv6", "at least ::ffff:0.0.0.0/96"}
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, &hinted{"the address goes on behind the length of the network",
			fmt.Sprintf("write %s for the network, or %s for the address", p.Masked(), p.Addr())}
	}
	return p, nil
}
