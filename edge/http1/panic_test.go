package http1_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// text is a log that a test can read.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// breaks panics where it is told to.
type breaks struct{ edge.Body }

func (breaks) Read([]byte) (int, error) { panic("bug in Read") }

type breaksAtEnd struct{}

func (breaksAtEnd) End(*edge.Exchange) { panic("bug in End") }

// A panic costs its exchange and nothing else, and is logged with its stack.
func TestPanic(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		if r.URL.Path == "/after" {
			w.(http.Flusher).Flush()
		}
		io.ReadAll(r.Body)
	})
	tr := transport(t, o)
	log := &text{}
	s := http1.NewServer(edge.HandlerFunc(func(x *edge.Exchange) error {
		switch x.Request.Path {
		case "/before":
			panic("bug in Serve")
		case "/after": // a transport's answer: neither a pump nor an aborter is left
			tr.Serve(x)
			panic("bug in Serve")
		case "/pump":
			x.Request.Body = breaks{x.Request.Body}
			return tr.Serve(x)
		case "/read":
			x.Respond(200, breaks{edge.Content(nil)}, 5)
		case "/end":
			x.OnEnd(breaksAtEnd{})
			x.Respond(200, nil, 0)
		case "/tunnel":
			x.Response.Status = 101
			x.Response.Tunnel = func(edge.Stream) error { panic("bug in Tunnel") }
		}
		return nil
	}), quick, slog.New(slog.NewTextHandler(log, nil)))
	addr := listen(t, func(c net.Conn) { s.ServeConn(c, clientOf(c)) })
	for _, test := range []struct {
		request string
		status  int
		logged  string
	}{
		{"GET /before", 500, "bug in Serve"},
		{"GET /after", 500, "bug in Serve"},
		{"GET /read", 200, "bug in Read"},
		{"GET /end", 200, "bug in End"},
		{"GET /tunnel", 101, "bug in Tunnel"},
		{"POST /after", 500, ""},
		{"POST /pump", 500, ""},
	} {
		c := dial(t, addr)
		fields := "\r\nHost: x\r\n"
		if strings.HasPrefix(test.request, "POST") {
			fields += "Content-Length: 100\r\n"
		} else if test.status == 101 {
			fields += "Connection: upgrade\r\nUpgrade: a\r\n"
		}
		c.say(test.request + " HTTP/1.1" + fields + "\r\n")
		if fields[len(fields)-3] == '0' {
			c.say("part")
		}
		if res := c.head("GET"); res.StatusCode != test.status {
			t.Errorf("%s: got %s, want %d", test.request, res.Status, test.status)
		}
		if test.logged != "" {
			eventually(t, test.request+" is logged", func() bool {
				got := log.String()
				return strings.Contains(got, test.logged) && strings.Contains(got, "panic_test.go")
			})
		}
		c.Close()
	}
	eventually(t, "all connections are gone", func() bool { return s.Stats().Open == 0 })
	if tr.Idle() != 0 {
		t.Errorf("%d connections are kept", tr.Idle())
	}
	s.Close()
}

// What is kept without being cloned is found out under -race.
func TestPoison(t *testing.T) {
	if !edge.Poisons {
		t.Skip("only under -race")
	}
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "origin"+strings.Repeat("x", 20<<10*len(r.URL.RawQuery)))
	})
	type kept struct{ path, value, server, cloned string }
	keeps := make(chan kept, 1)
	rec := make(records, 1)
	s, addr := serve(t, edge.Chain(transport(t, o), rec, edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
		err := next.Serve(x)
		keeps <- kept{x.Request.Path, x.Request.Fields.Get("A"), x.Response.Fields.Get("Server"), strings.Clone(x.Request.Path)}
		return err
	})), quick)
	for _, query := range []string{"", "?l"} { // the second needs the larger buffer
		c := dial(t, addr)
		c.say("GET /path" + query + " HTTP/1.1\r\nHost: x\r\nA: value\r\n\r\n")
		c.whole()
		if r := rec.wait(t); !strings.HasPrefix(r.server, "origin") {
			t.Errorf("an ender has read %.20q", r.server)
		}
		k := <-keeps
		c.Close()
		eventually(t, "the connection is gone", func() bool { return s.Stats().Open == 0 })
		if k.path != "!!!!!" || k.value != "!!!!!" || !strings.HasPrefix(k.server, "!!!!!!") || k.cloned != "/path" {
			t.Errorf("not overwritten: %.40q", k)
		}
	}
}

// A body that can write itself gets the socket, and is held to its length.
func TestWriterTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	const n = 1<<20 + 3
	if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
		t.Fatal(err)
	}
	rec := make(records, 1)
	length := int64(n)
	broken := error(nil)
	addr := proxy(t, edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		x.Respond(200, &file{f, broken}, length)
		return nil
	}), rec))
	c := dial(t, addr)
	for range 2 {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, b := c.whole(); len(b) != n {
			t.Errorf("got %d bytes", len(b))
		}
		if r := rec.wait(t); r.err != nil || r.sent != n {
			t.Errorf("recorded %+v", r)
		}
	}
	for _, test := range []struct {
		length int64
		err    error
		sent   int64
	}{{n + 1, nil, n}, {n, errors.New("disk on fire"), 0}} {
		length, broken = test.length, test.err
		c := dial(t, addr)
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.ReadAll(c.head("GET").Body); err == nil {
			t.Error("the client is not told that something is missing")
		}
		if r := rec.wait(t); r.err == nil || test.err != nil && !errors.Is(r.err, test.err) || r.sent != test.sent {
			t.Errorf("recorded %+v", r)
		}
	}
	length, broken = 10, nil // the file is longer
	c = dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		if _, b := c.whole(); len(b) != 10 {
			t.Errorf("got %d bytes", len(b))
		}
		rec.wait(t)
	}
}

type file struct {
	*os.File
	broken error
}

func (f *file) Read([]byte) (int, error) { return 0, errors.New("BUG: not written by itself") }

func (f *file) WriteTo(w io.Writer) (int64, error) {
	if f.broken != nil {
		return 0, f.broken
	}
	return w.(io.ReaderFrom).ReadFrom(f.File)
}
