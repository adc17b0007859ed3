package http1_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// The response streams while the request does: every piece comes back before
// the next is sent.
func TestEcho(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		b := make([]byte, 4096)
		for {
			n, err := r.Body.Read(b)
			w.Write(b[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})
	rec := make(records, 1)
	c := dial(t, proxy(t, edge.Chain(transport(t, o), rec, through)))
	for round := range 3 {
		c.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		var res *http.Response
		for i := range 100 {
			msg := fmt.Sprintf("piece %02d\n", i)
			c.say(fmt.Sprintf("%x\r\n%s\r\n", len(msg), msg))
			if res == nil {
				res = c.head("POST")
			}
			got := make([]byte, len(msg))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != msg {
				t.Fatalf("%d: %q %v", i, got, err)
			}
		}
		c.say("0\r\n\r\n")
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
			t.Fatal(round, rest, err)
		}
		if r := rec.wait(t); r.err != nil || r.received != 900 || r.sent != 900 {
			t.Fatalf("recorded %+v", r)
		}
	}
}

// Large content goes through whole both ways, in whatever framing.
func TestLargeContent(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength >= 0 && r.URL.Path == "/same" {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	const n = 3<<20 + 17
	content := strings.Repeat("0123456789abcdef", n/16+1)[:n]
	for _, path := range []string{"/same", "/chunked"} {
		for _, size := range []int{0, 1, 1000, 4095, 5000, 70000, n} {
			rec := make(records, 1)
			c := dial(t, proxy(t, edge.Chain(transport(t, o), rec, through)))
			go func() {
				c.say("POST " + path + " HTTP/1.1\r\nHost: x\r\n")
				if size == 0 {
					c.say(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", n, content))
					return
				}
				c.say("Transfer-Encoding: chunked\r\n\r\n")
				for rest := content[:min(n, 3000*size)]; len(rest) > 0; {
					piece := rest[:min(size, len(rest))]
					rest = rest[len(piece):]
					c.say(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
				}
				c.say("0\r\n\r\n")
			}()
			want := content
			if size > 0 {
				want = content[:min(n, 3000*size)]
			}
			if _, b := c.whole(); b != want {
				t.Errorf("%s in chunks of %d: got %d bytes, want %d", path, size, len(b), len(want))
			}
			if r := rec.wait(t); r.err != nil || r.received != int64(len(want)) || r.sent != int64(len(want)) {
				t.Errorf("%s in chunks of %d: recorded %+v", path, size, r)
			}
		}
	}
}

// What an origin sends in pieces reaches the client in pieces: no setting for
// server-sent events.
func TestFlush(t *testing.T) {
	step := make(chan struct{})
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for i := range 3 {
			<-step
			fmt.Fprintf(w, "event %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	c := dial(t, proxy(t, edge.Chain(transport(t, o), through)))
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res := c.head("GET") // before there is any content
	for i := range 3 {
		step <- struct{}{}
		b := make([]byte, 8)
		if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != fmt.Sprintf("event %d\n", i) {
			t.Fatalf("%q %v", b, err)
		}
	}
}

func TestTrailers(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
		w.Header().Set("Sum", r.Trailer.Get("Sum")+r.Trailer.Get("S_m")+"!")
	})
	s, addr := serve(t, edge.Chain(transport(t, o), through), quick)
	c := dial(t, addr)
	for range 3 {
		c.say("POST / HTTP/1.1\r\nHost: x\r\nTrailer: Sum, S_m\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		c.say("0\r\nSum: 42\r\nS_m: dropped\r\n\r\n")
		res, b := c.whole()
		if b != "abc" || res.Trailer.Get("Sum") != "42!" {
			t.Fatal(b, res.Trailer)
		}
	}
	eventually(t, "three trailers are counted", func() bool { return s.Stats().DroppedFields == 3 })
}

// 100 Continue is sent when somebody waits for the content, and only then.
func TestContinue(t *testing.T) {
	seen := make(chan string, 10)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Expect")
		io.Copy(w, r.Body)
	})
	tr := transport(t, o)
	addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Path == "/denied" {
			return &edge.Error{Kind: edge.RequestDenied, Op: "look at the path"}
		}
		if x.Request.Path == "/unread" {
			x.Respond(200, nil, 0)
			return nil
		}
		return tr.Serve(x)
	}))
	c := dial(t, addr)
	for range 2 {
		c.say("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatal(line)
		}
		c.r.ReadString('\n')
		c.say("abc")
		if _, b := c.whole(); b != "abc" {
			t.Fatal(b)
		}
		if got := <-seen; got != "" {
			t.Errorf("Expect: %s has been forwarded", got)
		}
	}
	// The content is there already.
	c.say("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
	if res, b := c.whole(); res.StatusCode != 200 || b != "abc" {
		t.Fatal(res, b)
	}
	// HTTP/1.0 knows no interim responses.
	old := dial(t, addr)
	old.say("POST / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	old.say("abc")
	if res, b := old.whole(); res.StatusCode != 200 || b != "abc" {
		t.Fatal(res, b)
	}
	// The client may send the content or not: nobody can tell, so it is told to close.
	for path, status := range map[string]int{"/denied": 403, "/unread": 200} {
		c := dial(t, addr)
		c.say("POST " + path + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		if res, _ := c.whole(); res.StatusCode != status || !res.Close {
			t.Error(path, res)
		}
	}
}

func TestInterimResponses(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("Keep-Alive", "5")
		w.WriteHeader(103)
		w.WriteHeader(102)
		w.Header().Del("Link")
		io.WriteString(w, "done")
	})
	addr := proxy(t, transport(t, o))
	c := dial(t, addr)
	for range 2 {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if res := c.head("GET"); res.StatusCode != 103 || res.Header.Get("Link") == "" || res.Header.Get("Keep-Alive") != "" {
			t.Fatal(res)
		}
		if res := c.head("GET"); res.StatusCode != 102 {
			t.Fatal(res)
		}
		if res, b := c.whole(); b != "done" || res.Header.Get("Link") != "" {
			t.Fatal(res, b)
		}
	}
	if res, b := ask(t, addr, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"); res.StatusCode != 200 || b != "done" {
		t.Error("to HTTP/1.0:", res, b)
	}
}

// Inform takes only what is an interim response.
func TestInform(t *testing.T) {
	addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		var f edge.Fields
		for _, status := range []int{99, 100, 101, 200} {
			if x.Inform(status, &f) == nil {
				t.Errorf("%d is accepted", status)
			}
		}
		f.Add("X", "a\r\nSet-Cookie: b")
		if x.Inform(103, &f) == nil {
			t.Error("a line break is accepted")
		}
		x.Respond(200, nil, 0)
		return nil
	}))
	if res, _ := ask(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 200 {
		t.Error(res)
	}
}

// An origin answers before it has read the request, and leaves: the client still
// gets to read that.
func TestEarlyAnswer(t *testing.T) {
	o := listen(t, func(c net.Conn) {
		defer c.Close()
		io.ReadFull(c, make([]byte, 1<<10))
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
		io.Copy(io.Discard, io.LimitReader(c, 1<<20))
	})
	rec := make(records, 1)
	addr := proxy(t, edge.Chain(transport(t, o), rec, through))
	for range 20 {
		c := dial(t, addr)
		go func() {
			c.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n")
			io.CopyN(c.Conn, zeros{}, 10<<20)
		}()
		res, b := c.whole()
		if res.StatusCode != 413 || b != "no!" || !res.Close {
			t.Fatal(res, b)
		}
		if r := rec.wait(t); r.err != nil {
			t.Fatal(r.err)
		}
	}
}

// Content that is at hand leaves with the head in one write, on both sides.
func TestOneWrite(t *testing.T) {
	reads := make(chan int, 10)
	for _, n := range []int{1, 1000, 5000} {
		content := strings.Repeat("x", n)
		o := listen(t, func(c net.Conn) {
			defer c.Close()
			b := make([]byte, 1<<20)
			m, _ := c.Read(b)
			reads <- m
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, content)
		})
		c := dial(t, proxy(t, transport(t, o)))
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n)
		c.say(head + content)
		b := make([]byte, 1<<20)
		m, err := c.Read(b)
		if got := <-reads; got < n+len("POST / HTTP/1.1\r\n\r\n") || n < 4000 && err == nil && m < n {
			t.Errorf("%d bytes of content: the origin read %d at once, the client %d", n, got, m)
		}
	}
}
