// Package edgetest drives origins, a proxy and clients from one script, over real
// sockets. It is for tests only.
//
// A script is a txtar archive. Its files are written into a directory, from which
// the proxy is started; in them $ORIGIN, $ORIGIN2 (the names of the script's
// origins in upper case) become the addresses of the origins, and $PORT, $PORT2
// ... free ports, which URLs of the script may name. The file "script" has a statement a line; '#' begins a comment,
// and a line that ends in '\' goes on. Statements run one after the other. One
// that waits fails after [Patience].
//
//	origin GET /a -> 200 Etag="\"1\"" body="hello"
//	client GET /a -> 200 Etag="\"1\"" !Age body="hello"
//	origin requests == 1
//
// A value is a word, or quoted as in Go; ~ before the quote makes it a regular
// expression that must match: Date=~"GMT$". Names that begin with an upper-case
// letter are fields, all others words of the script.
//
// # Origins
//
// Subjects that begin with "origin" are origins: origin, origin2, origin-b. Each
// is an HTTP/1.1 server that does what its rules say, wrong things included.
//
//	origin GET /a -> STEP...       a rule; * is any method or path. Rules of the same request take turns, the last one stays
//	origin got [GET /a] WANT...    what the last (such) request had: Field=, !Field, body=, size=, uri=
//	origin requests == 2           whole requests; also connections, open (connections now), gone (peers that left while the origin held)
//	origin wait requests == 2      the same, as soon as it becomes true
//	origin release [2]             lets held answers go on
//	origin close-idle              closes connections that wait for a request
//	origin down, origin up         stops listening and cuts all; listens again
//
// Steps are done in order:
//
//	103, 200                       begins a head; 1xx goes out at once
//	Field="value"                  of that head; early (anywhere): do not wait for the request's content
//	length=5, chunked, unframed    framing, instead of the right Content-Length
//	body="text", size=100000       content; echo: the request's content; show: the request's head
//	trickle="text"                 content, a byte a write
//	trailer:Field="value"
//	flush                          what has been said so far goes out now, as it does before what waits
//	hold                           waits for release
//	stall                          waits for the peer to leave
//	raw="bytes"                    exactly these
//	tunnel                         echoes bytes until their end, then leaves
//	close, reset                   leaves, by FIN or RST
//
// # Clients
//
// client and client1 speak HTTP/1.1, client2 HTTP/2, client3 HTTP/3 if the proxy
// is an [HTTP3er].
//
//	client GET /a Field="value" body="text" -> 200 WANT...
//	client2 GET https://example.org/a -> 200
//
// A target is a path at http://example.org, of client3 at https://example.org, or
// a URL, whose scheme or port names the proxy's listener. The request may have
// body=, size=, chunked, trailer:Field=. WANT is Field=, !Field, body=, size=,
// trailer:Field=, after the heads of 1xx but 100; or cut: the content
// is incomplete; or, instead of a status, fail: there is no answer.
//
// # Raw clients
//
// Subjects that begin with "raw" are connections, open from their first statement
// on:
//
//	raw send="GET / HTTP/1.1\r\nHost: a\r\n\r\n" recv=~"^HTTP/1.1 200 .*\r\n\r\n" closed
//
// recv="text" takes exactly that from the connection, recv=~"re" all until re
// matches; half-close, close and reset leave; closed wants the peer to have left;
// open=https, as the first word, connects to that listener instead of http.
//
// # The rest
//
//	parallel 8 client ...          so many at once
//	repeat 8 client ...            one after the other
//	client ... &                   in the background; join waits for all of these
//	reload [-> fail]               reloads the proxy's configuration
//	copy NEW OLD                   overwrites a file of the directory by another
//	wait log ~"regexp"             until the proxy, a [Logger], has logged that
//	no log ~"regexp"               it has not, so far: after a wait for what comes later
package edgetest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// Patience is how long a statement waits before the test fails.
const Patience = time.Minute

// Proxy is what a script tests.
type Proxy interface {
	// Addr returns the address to connect to for a listener: "http", "https", or
	// ":PORT" where the script's URL has a port.
	Addr(name string) string
	Reload() error
	Close()
}

// HTTP3er is a Proxy that knows how to speak HTTP/3 with itself.
type HTTP3er interface{ HTTP3() http.RoundTripper }

// Logger is a Proxy whose log can be read.
type Logger interface{ Log() *Log }

// Run runs the scripts that match glob, each as a test of its own, against a
// proxy that start starts from the files in dir.
func Run(t *testing.T, glob string, start func(t testing.TB, dir string) Proxy) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no script matches %s", glob)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			run(t, file, archive, start)
		})
	}
}

func run(t testing.TB, name string, archive *txtar.Archive, start func(t testing.TB, dir string) Proxy) {
	t.Helper()
	s := &script{t: t, name: name, dir: t.TempDir(), origins: map[string]*origin{}, raws: map[string]*rawClient{}}
	var lines []line
	for _, f := range archive.Files {
		if f.Name != "script" {
			continue
		}
		var err error
		// Lines are counted from the beginning of the archive.
		if lines, err = parse(string(f.Data), firstLine(archive, f.Name)); err != nil {
			t.Fatalf("%s:%v", name, err)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no script", name)
	}
	defer s.close()
	if err := s.startOrigins(lines); err != nil {
		t.Fatalf("%s:%v", name, err)
	}
	if err := s.writeFiles(archive); err != nil {
		t.Fatal(err)
	}
	s.proxy = start(t, s.dir)
	s.run(lines)
}

// firstLine returns the number of the line behind the marker of a file.
func firstLine(a *txtar.Archive, name string) int {
	n := strings.Count(string(a.Comment), "\n")
	for _, f := range a.Files {
		n++ // the marker
		if f.Name == name {
			break
		}
		n += strings.Count(string(f.Data), "\n")
	}
	return n + 1
}

// writeFiles writes the archive's files but the script.
func (s *script) writeFiles(a *txtar.Archive) error {
	replace, err := s.placeholders(a)
	if err != nil {
		return err
	}
	s.replace = replace
	for _, f := range a.Files {
		if f.Name == "script" {
			continue
		}
		path := filepath.Join(s.dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(replace(string(f.Data))), 0o644); err != nil {
			return err
		}
	}
	return nil
}
