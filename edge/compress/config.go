package compress

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Config is what a route, a site or the whole proxy says about compression. A
// zero field means the default.
type Config struct {
	// Prefer lists the codings that are offered, the best first: it decides where
	// a client weighs several alike. Default: br, zstd, gzip.
	Prefer []string

	// Level is how hard to try, from 1 (fast) to 9 (small). Default: auto, which
	// is br 5, zstd 3 and gzip 6 for content that a cache keeps in its encoded
	// form, and br 3, zstd 1 and gzip 4 for everything else.
	Level int

	// Types lists the media types that are encoded. "text/*" stands for all of
	// text, "+json" for all with that suffix. Default: DefaultTypes.
	Types []string

	// Min is the least length of content that is encoded, in bytes. Content
	// without a known length always is. Default: 1 KiB.
	Min int64

	// Whole is the most content, in bytes, that is encoded in one go where all of
	// it is at hand, and the largest encoded form that a cache is asked to keep.
	// Longer content is encoded as it is read. Default: 1 MiB.
	Whole int

	// Active is the most responses that are being encoded at once; further ones go
	// out as they are. Each takes up to 3 MiB. Default: 256.
	Active int

	// Idle is the most encoders of each coding and level that are kept for reuse.
	// Default: the number of processors.
	Idle int
}

// DefaultTypes returns the media types that are encoded by default: text, and
// what else is not compressed by its own format.
func DefaultTypes() []string {
	return []string{
		"text/*",
		"application/json",
		"+json",
		"application/javascript",
		"application/x-javascript",
		"application/xml",
		"+xml", // image/svg+xml, application/rss+xml
		"application/wasm",
		"application/x-ndjson",
		"application/yaml",
		"application/toml",
		"application/graphql",
		"application/rtf",
		"application/vnd.ms-fontobject",
		"application/x-font-ttf",
		"font/ttf",
		"font/otf",
		"font/collection",
		"image/bmp",
		"image/x-icon",
		"image/vnd.microsoft.icon",
	}
}

// Validate returns everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[coding]bool{}
	for _, name := range c.Prefer {
		k, ok := codingOf(name)
		switch {
		case !ok:
			bad("prefer: unknown coding %q; have br, zstd, gzip", name)
		case seen[k]:
			bad("prefer: %q stands twice", name)
		}
		seen[k] = ok
	}
	if c.Level < 0 || c.Level > 9 {
		bad("level: %d is not between 1 and 9", c.Level)
	}
	for _, t := range c.Types {
		if !strings.HasPrefix(t, "+") && strings.Count(t, "/") != 1 || strings.ContainsAny(t, " ;,") {
			bad(`types: %q is no media type, such as "text/html", "text/*" or "+json"`, t)
		}
	}
	for _, l := range []struct {
		name  string
		value int64
	}{
		{"min", c.Min}, {"whole", int64(c.Whole)}, {"active", int64(c.Active)}, {"idle", int64(c.Idle)},
	} {
		if l.value < 0 {
			bad("%s: %d is negative", l.name, l.value)
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if len(c.Prefer) == 0 {
		c.Prefer = []string{"br", "zstd", "gzip"}
	}
	if len(c.Types) == 0 {
		c.Types = DefaultTypes()
	}
	if c.Min == 0 {
		c.Min = 1 << 10
	}
	if c.Whole == 0 {
		c.Whole = 1 << 20
	}
	if c.Active == 0 {
		c.Active = 256
	}
	if c.Idle == 0 {
		c.Idle = runtime.GOMAXPROCS(0)
	}
	return c
}

func lowered(list []string) []string {
	low := make([]string, len(list))
	for i, s := range list {
		low[i] = strings.ToLower(s)
	}
	return low
}

// matchType reports whether a Content-Type is of one of types, which are in
// lower case.
func matchType(types []string, contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.Trim(media, " \t")
	for _, t := range types {
		var ok bool
		switch {
		case t[0] == '+':
			ok = len(media) > len(t) && strings.EqualFold(media[len(media)-len(t):], t)
		case t[len(t)-1] == '*':
			ok = len(media) >= len(t) && strings.EqualFold(media[:len(t)-1], t[:len(t)-1])
		default:
			ok = strings.EqualFold(media, t)
		}
		if ok {
			return true
		}
	}
	return false
}
