package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/compress"
)

// grammar is all keys of the file.
type grammar struct {
	file     object[fileDraft]
	listen   object[Listen]
	site     object[siteDraft]
	route    object[draft]
	settings []key[draft]
	when     object[When]
	redirect object[Redirect]
	edits    object[FieldEdits]
	respond  object[Respond]
	by       object[By]
	cache    object[Cache]
	timeout  object[Timeout]
	retry    object[Retry]
	compress object[Compress]
	upstream object[Upstream]
	endpoint object[Endpoint]
	filter   object[Filter]
	function object[Function]

	endpoints form // of one endpoint, or several

	tls      object[TLS]
	cert     object[Certificate]
	internal object[Internal]
	store    object[Store]
	limits   object[Limits]
	log      object[Log]
	access   object[Access]
	rotate   object[Access]
	metrics  object[Metrics]
	admin    object[Admin]
}

// targetForm is where requests can go.
var targetForm = anyText("the name of an upstream, `host:port`, `unix:/path` or `function:NAME`")

func newGrammar() *grammar {
	g := &grammar{
		listen:   listenKeys(),
		when:     whenKeys(),
		redirect: redirectKeys(),
		edits:    editsKeys(editKeys(true), editKeys(false)),
		respond:  respondKeys(),
		by:       byKeys(),
		cache:    cacheKeys(),
		timeout:  timeoutKeys(),
		retry:    retryKeys(),
		compress: compressKeys(),
		endpoint: endpointKeys(),
		filter:   filterKeys(),
		function: functionKeys(),
		cert:     certificateKeys(),
		store: object[Store]{"cache", "The cache's store.", []key[Store]{
			{"memory", "512MB", sizeForm, "How much memory it may use.", func(d *decoder, v value, s *Store) { d.size(v, &s.Memory, 1<<20, maxSize) }},
		}},
		limits:  limitsKeys(),
		rotate:  rotateKeys(),
		metrics: metricsKeys(),
		admin:   adminKeys(),
	}
	g.access = accessKeys(g.rotate)
	g.log = logKeys(g.access)
	g.internal = internalKeys(g.cert)
	g.tls = tlsKeys(g.cert, g.internal)
	g.endpoints = called("an endpoint: an address, with `weight N` and `backup` behind it, or a map ([endpoint](#endpoint)); or a list of them",
		listOf(or(scalarForm("", `^\S+( +weight +[0-9]+| +backup)*$`), mapForm(g.endpoint.section("address")))))
	g.upstream = upstreamKeys(g.endpoints)
	g.settings = g.routeKeys()
	g.route = g.routeObject()
	g.site = g.siteKeys()
	g.file = g.fileKeys()
	return g
}

// fileDraft is a file in the making.
type fileDraft struct {
	File
	sites *value
}

func (g *grammar) fileKeys() object[fileDraft] {
	return object[fileDraft]{"the file", "Every key may be left out but `sites`.", []key[fileDraft]{
		{"version", "1", form{words: "`1`", schema: schema{"const": 1}}, "The version of this grammar.",
			func(d *decoder, v value, _ *fileDraft) { d.version(v) }},
		{"include", "", listOf(anyText("a path or a pattern like `sites/*.yaml`; a relative one starts at the directory of the file")),
			"Files that are read with this one. They may hold `sites`, `upstreams`, `filters` and `functions`; a name can be in one file only, and a relative path starts at the directory of the file that it stands in. A pattern has the wildcards of a shell.",
			func(d *decoder, v value, f *fileDraft) {
				for _, in := range d.includes(v) {
					if hasWildcard(in.pattern) {
						f.include = append(f.include, in.pattern)
					}
				}
			}},
		{"listen", "http :80, https :443", mapForm(g.listen.section()), "Where sites are reached whose keys name no address. What is not written is not opened.",
			func(d *decoder, v value, f *fileDraft) {
				f.Listen = Listen{Place: d.place(v)}
				if have := g.listen.decode(d, v, &f.Listen); have != nil && len(have) == 0 {
					d.errorf(v, "listen needs http, https or both")
				}
			}},
		{"state", "/var/lib/sluice as root, else ~/.local/state/sluice", pathForm, "The directory of what outlives a restart: the internal authority, uploaded modules, what the API has changed, history. It belongs to one proxy at a time. Where the service manager names one in $STATE_DIRECTORY, or $XDG_STATE_HOME is set, it is there by default.",
			func(d *decoder, v value, f *fileDraft) { f.State, _ = d.path(v) }},
		{"sites", "", called("a map of hosts to a target, or a map: [site](#site)", freeForm("hosts", or(targetForm, mapForm(g.site.section())))),
			"The sites. A key is a host, `*.example.com` for all below one, `*` for any, or `http://HOST:PORT` or `https://HOST:PORT`, which binds that address and matches the host with and without the port.",
			func(_ *decoder, v value, f *fileDraft) { f.sites = &v }},
		{"upstreams", "", called("a map of names to an endpoint, a list of endpoints, or a map: [upstream](#upstream)", freeForm("names", or(g.endpoints, mapForm(g.upstream.section("endpoints"))))),
			"The pools of endpoints that routes name.",
			func(d *decoder, v value, f *fileDraft) { d.upstreams(v, &f.File) }},
		{"filters", "", freeForm("names", mapForm(g.filter.section("wasm"))), "The filters that routes name.",
			func(d *decoder, v value, f *fileDraft) { d.filterMap(v, &f.File) }},
		{"functions", "", freeForm("names", mapForm(g.function.section("wasm"))), "The functions that routes name.",
			func(d *decoder, v value, f *fileDraft) { d.functionMap(v, &f.File) }},
		{"tls", "", mapForm(g.tls.section()), "How connections of clients are encrypted.",
			func(d *decoder, v value, f *fileDraft) { f.TLS.Place = d.place(v); g.tls.decode(d, v, &f.TLS) }},
		{"compress", "on", or(switchForm, mapForm(g.compress.section())), "How answers are compressed, unless a site or a route says otherwise.",
			func(d *decoder, v value, f *fileDraft) { d.compress(v, &f.Compress) }},
		{"trust", "", listOf(scalarForm("an address or a network like `10.0.0.0/8`", "^[0-9A-Fa-f.:\\[\\]]+(/[0-9]+)?$")), "The proxies in front, whose X-Forwarded-*, X-Real-IP, Forwarded and X-Request-Id are believed.",
			func(d *decoder, v value, f *fileDraft) { f.Trust = d.trust(v) }},
		{"cache", "", mapForm(g.store.section()), "The cache's store, which all sites share.",
			func(d *decoder, v value, f *fileDraft) { g.store.decode(d, v, &f.Cache) }},
		{"limits", "", mapForm(g.limits.section()), "What clients can make the proxy hold.",
			func(d *decoder, v value, f *fileDraft) { g.limits.decode(d, v, &f.Limits) }},
		{"log", "", mapForm(g.log.section()), "What is written down.",
			func(d *decoder, v value, f *fileDraft) { d.log(v, &f.Log) }},
		{"metrics", "", or(listenForm, mapForm(g.metrics.section("listen"))), "Where metrics can be read beside the admin API.",
			func(d *decoder, v value, f *fileDraft) { d.metrics(v, &f.Metrics) }},
		{"admin", "", or(offForm, mapForm(g.admin.section())), "The API that steers a running proxy.",
			func(d *decoder, v value, f *fileDraft) { d.admin(v, &f.Admin) }},
	}}
}

func (d *decoder) version(v value) {
	if s, ok := d.text(v, "1"); ok && s != "1" {
		d.errorf(v, "version %s is unknown; this is version 1", d.quote(v))
	}
}

// file reads the whole file. The order is that of what depends on what.
func (d *decoder) file(v value) *File {
	f := fileDraft{File: d.defaults()}
	if d.grammar.file.decode(d, v, &f) == nil {
		return nil
	}
	base := Settings{
		Compress:       f.Compress,
		Timeout:        Timeout{Connect: 5 * time.Second, FirstByte: time.Minute, Stalled: 30 * time.Second, ClientStalled: f.Limits.Stalled},
		Body:           Unlimited,
		Retry:          Retry{Times: 1},
		RewriteAnswers: true,
		Log:            true,
	}
	switch {
	case f.sites == nil:
		d.errorf(v, "there are no sites").Hint = "the shortest file is: sites: { example.com: 127.0.0.1:3000 }"
	case f.sites.kind == mapping && len(f.sites.entries) == 0, f.sites.kind == null:
		d.errorf(*f.sites, "there are no sites").Hint = "the shortest file is: sites: { example.com: 127.0.0.1:3000 }"
	default:
		d.sites(*f.sites, &f.File, base)
	}
	d.defaultListen(&f.File)
	d.defaultState(&f.File)
	d.checkNames(&f.File)
	f.Upstreams = append(f.Upstreams, d.implied...)
	for i := range f.Sites {
		d.checkRoutes(&f.Sites[i])
	}
	d.checkSites(&f.File)
	d.checkListen(&f.File)
	d.checkAdmin(&f.Admin)
	return &f.File
}

func (d *decoder) defaults() File {
	return File{
		Version: 1,
		TLS:     TLS{Min: tls.VersionTLS12, Internal: Internal{Lifetime: 7 * 24 * time.Hour}},
		Compress: Compress{
			Prefer: []string{"br", "zstd", "gzip"},
			Types:  compress.DefaultTypes(),
			Min:    1 << 10,
		},
		Cache:  Store{Memory: 512 << 20},
		Limits: Limits{Connections: 100_000, Header: 32 << 10, Fields: 100, Stalled: 30 * time.Second, Hops: 10},
		Log: Log{
			Access: Access{Output: Stdout, Format: "json", Keep: 14, Compress: true}, Errors: Stderr, Level: LevelInfo,
			Redact: []string{"authorization", "cookie", "proxy-authorization"},
		},
		Admin: Admin{Listen: Address{Network: "tcp", Address: "127.0.0.1:2024"}},
	}
}

// defaultListen opens the usual ports if a site needs them and the file names no
// others.
func (d *decoder) defaultListen(f *File) {
	needed := slices.ContainsFunc(f.Sites, func(s Site) bool { return s.Scheme == "" })
	if !needed || len(f.Listen.HTTP)+len(f.Listen.HTTPS) > 0 {
		return
	}
	f.Listen.HTTP = []Address{{Network: "tcp", Address: ":80"}}
	f.Listen.HTTPS = []Address{{Network: "tcp", Address: ":443"}}
}

func (d *decoder) defaultState(f *File) {
	if f.State != "" {
		return
	}
	f.State = "/var/lib/sluice"
	// The XDG base directory specification: a relative path is to be ignored.
	path := func(name string) string {
		dir, ok := d.options.Env(name)
		if !ok || !filepath.IsAbs(dir) {
			return ""
		}
		return dir
	}
	// systemd.exec(5): several have colons between them.
	if dir, _, _ := strings.Cut(path("STATE_DIRECTORY"), ":"); dir != "" {
		f.State = dir
	} else if dir := path("XDG_STATE_HOME"); dir != "" {
		f.State = filepath.Join(dir, "sluice")
	} else if dir := path("HOME"); dir != "" && os.Geteuid() != 0 { // who may write there is root
		f.State = filepath.Join(dir, ".local/state/sluice")
	}
}

func listenKeys() object[Listen] {
	at := func(name, doc string, where func(*Listen) *[]Address) key[Listen] {
		return key[Listen]{name, "", listOf(listenForm), doc, func(d *decoder, v value, l *Listen) {
			to := where(l)
			for _, item := range d.few(v) {
				a := Address{Place: d.place(item), Network: "tcp"}
				s, ok := d.text(item, "an address like :80")
				if !ok {
					continue
				}
				var err error
				if a.Address, err = parseListen(s); err != nil {
					d.wrong(item, "address", err)
					continue
				}
				if slices.ContainsFunc(*to, func(b Address) bool { return b.Address == a.Address }) {
					d.errorf(item, "the address %s stands here twice", a.Address)
				}
				*to = append(*to, a)
			}
		}}
	}
	return object[Listen]{"listen", "Addresses of the proxy.", []key[Listen]{
		at("http", "For HTTP without encryption.", func(l *Listen) *[]Address { return &l.HTTP }),
		at("https", "For HTTP with encryption: TCP, and UDP for HTTP/3.", func(l *Listen) *[]Address { return &l.HTTPS }),
	}}
}

func certificateKeys() object[Certificate] {
	return object[Certificate]{"certificate", "A pair of files in PEM.", []key[Certificate]{
		{"cert", "", pathForm, "The chain, the site's own certificate first.", func(d *decoder, v value, c *Certificate) { c.Cert, _ = d.path(v) }},
		{"key", "", pathForm, "The private key.", func(d *decoder, v value, c *Certificate) { c.Key, _ = d.path(v) }},
	}}
}

func internalKeys(cert object[Certificate]) object[Internal] {
	return object[Internal]{"internal", "The proxy's own authority, which signs for names without a certificate.", []key[Internal]{
		{"lifetime", "7d", durationForm, "How long a certificate is valid that it signs.", func(d *decoder, v value, i *Internal) {
			d.duration(v, &i.Lifetime, time.Hour, 397*24*time.Hour)
		}},
		{"ca", "made once and kept under state", mapForm(cert.section("cert", "key")), "The authority's own certificate.", func(d *decoder, v value, i *Internal) {
			i.CA = d.certificate(v)
		}},
	}}
}

func (d *decoder) certificate(v value) *Certificate {
	c := &Certificate{Place: d.place(v)}
	d.need(v, d.grammar.cert.decode(d, v, c), "cert", "key")
	return c
}

func tlsKeys(cert object[Certificate], internal object[Internal]) object[TLS] {
	return object[TLS]{"tls", "How connections of clients are encrypted.", []key[TLS]{
		{"min", `"1.2"`, form{words: "`\"1.2\"` or `\"1.3\"`", schema: schema{"enum": []any{"1.2", "1.3", 1.2, 1.3}}}, "The least version of TLS.", func(d *decoder, v value, t *TLS) {
			word(d, v, &t.Min, []string{"1.2", "1.3"}, []uint16{tls.VersionTLS12, tls.VersionTLS13})
		}},
		{"certificates", "", listOf(mapForm(cert.section("cert", "key"))), "Certificates from files. Which one a client gets is decided by the names in them.", func(d *decoder, v value, t *TLS) {
			for _, item := range v.list() {
				t.Certificates = append(t.Certificates, *d.certificate(item))
			}
		}},
		{"internal", "", mapForm(internal.section()), "The proxy's own authority, which signs for names without a certificate.",
			func(d *decoder, v value, t *TLS) { internal.decode(d, v, &t.Internal) }},
	}}
}

func compressKeys() object[Compress] {
	codings := []string{"br", "zstd", "gzip"}
	return object[Compress]{"compress", "How answers are compressed.", []key[Compress]{
		{"prefer", "[br, zstd, gzip]", listOf(wordForm(codings...)), "The codings that may be used, the favourite first. It decides where a client takes several alike.", func(d *decoder, v value, c *Compress) {
			c.Prefer = nil
			for _, item := range d.few(v) {
				var s string
				word(d, item, &s, codings, codings)
				if s != "" && slices.Contains(c.Prefer, s) {
					d.errorf(item, "%s stands here twice", s)
				}
				c.Prefer = append(c.Prefer, s)
			}
			if len(c.Prefer) == 0 {
				d.errorf(v, "prefer needs a coding").Hint = "compress: off turns compression off"
			}
		}},
		{"level", "auto", or(wordForm("auto"), numberForm(1, 9)), "How hard to try, from 1 (fast) to 9 (small).", func(d *decoder, v value, c *Compress) {
			if s, ok := d.text(v, "auto or a whole number"); ok && s == "auto" {
				c.Level = 0
			} else if ok {
				d.number(v, &c.Level, 1, 9)
			}
		}},
		{"types", "text, and what else is not compressed by its own format", listOf(scalarForm("a media type like `text/html`, `text/*`, `+json`", `^(\+[^/ ;,]+|[^/ ;,]+/[^/ ;,]+)$`)), "The media types that are compressed.",
			func(d *decoder, v value, c *Compress) { d.mediaTypes(v, c) }},
		{"min", "1KB", sizeForm, "The least length of an answer that is compressed.", func(d *decoder, v value, c *Compress) { d.size(v, &c.Min, 1, 1<<30) }},
	}}
}

func (d *decoder) mediaTypes(v value, c *Compress) {
	c.Types = nil
	for _, item := range d.few(v) {
		s, ok := d.text(item, "a media type")
		if !ok {
			continue
		}
		s = strings.ToLower(s)
		c.Types = append(c.Types, s)
		if err := (compress.Config{Types: []string{s}}).Validate(); err != nil {
			d.wants(item, "a media type like text/html, text/* or +json")
		}
	}
	if len(c.Types) == 0 {
		d.errorf(v, "types needs a media type").Hint = "compress: off turns compression off"
	}
}

// compress reads on, off, or what differs from the compression that was
// inherited.
func (d *decoder) compress(v value, c *Compress) {
	if v.kind == mapping {
		c.Off = false
		d.grammar.compress.decode(d, v, c)
		return
	}
	on := !c.Off
	d.onOff(v, &on)
	c.Off = !on
}

func limitsKeys() object[Limits] {
	return object[Limits]{"limits", "What clients can make the proxy hold.", []key[Limits]{
		{"connections", "100000", numberForm(1, 10_000_000), "How many connections of clients are open at a time.", func(d *decoder, v value, l *Limits) { d.number(v, &l.Connections, 1, 10_000_000) }},
		{"header", "32KB", sizeForm, "The largest field section of a request. More is answered with 431.", func(d *decoder, v value, l *Limits) { d.size(v, &l.Header, 1<<10, 1<<20) }},
		{"fields", "100", numberForm(10, 10_000), "The most lines of a field section. More is answered with 431.", func(d *decoder, v value, l *Limits) { d.number(v, &l.Fields, 10, 10_000) }},
		{"stalled", "30s", durationForm, "How long a connection of a client may make no progress while a request or its answer is on the way.", func(d *decoder, v value, l *Limits) {
			d.duration(v, &l.Stalled, 100*time.Millisecond, 24*time.Hour)
		}},
		{"hops", "10", numberForm(1, 100), "How many proxies like this one a request may have come through, as its field `Via` says. More is a loop, and answered with 502.", func(d *decoder, v value, l *Limits) { d.number(v, &l.Hops, 1, 100) }},
	}}
}

func adminKeys() object[Admin] {
	return object[Admin]{"admin", "The API that steers a running proxy.", []key[Admin]{
		{"listen", "127.0.0.1:2024", or(listenForm, scalarForm("`unix:/path`", "^unix:.+$")), "Where it is.", func(d *decoder, v value, a *Admin) {
			s, ok := d.text(v, "an address")
			if !ok {
				return
			}
			a.Listen = Address{Place: d.place(v), Network: "tcp"}
			var err error
			if strings.HasPrefix(s, "unix:") {
				e := Endpoint{}
				if d.address(v, s, &e) {
					a.Listen.Network, a.Listen.Address = e.Network, e.Address
				}
			} else if a.Listen.Address, err = parseListen(s); err != nil {
				d.wrong(v, "address", err)
			}
		}},
		{"token", "", textForm, "What clients must show. It is needed unless the address is loopback or a unix socket.", func(d *decoder, v value, a *Admin) {
			s, ok := d.text(v, "a token")
			switch {
			case !ok:
			case len(s) < minToken:
				d.errorf(v, "a token has at least %d characters", minToken)
			case !isVisible(s):
				d.errorf(v, "a token has visible ASCII characters only")
			default:
				a.Token = s
			}
		}},
	}}
}

// minToken is how many characters a token has at least.
const minToken = 16

func isVisible(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }) < 0
}

func (d *decoder) admin(v value, a *Admin) {
	a.Place = d.place(v)
	if v.kind == mapping {
		d.grammar.admin.decode(d, v, a)
		return
	}
	on := true
	if s, ok := d.text(v, "off or a map"); ok {
		if on, ok = isSwitch(s); !ok {
			d.wants(v, "off or a map").Hint = "write { listen: ... }"
			return
		}
	}
	a.Off = !on
}
