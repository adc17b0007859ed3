package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// switcher answers every request with what the protocol asked for is, and then
// with what has come, when the client's half is closed.
func switcher(t testing.TB, response string) string {
	return listen(t, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.WriteString(c, strings.ReplaceAll(response, "ASKED", req.Header.Get("Upgrade")))
		all, _ := io.ReadAll(r)
		c.Write(append(all, '.'))
	})
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ASKED\r\nSec-WebSocket-Accept: x\r\n\r\nhi!"

func TestTunnel(t *testing.T) {
	rec := make(records, 1)
	s, addr := serve(t, edge.Chain(transport(t, switcher(t, switching)), rec), quick)
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly ")
	res := c.head("GET")
	if res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Sec-WebSocket-Accept") != "x" {
		t.Fatal(res)
	}
	hi := make([]byte, 3)
	io.ReadFull(c.r, hi)
	eventually(t, "there is a tunnel", func() bool { return s.Stats().Tunnels == 1 })
	large := strings.Repeat("and large, ", 100000)
	go func() {
		c.say(large)
		c.say("and late")
		c.closeWrite()
	}()
	rest, err := io.ReadAll(c.r)
	if string(hi) != "hi!" || string(rest) != "early "+large+"and late." || err != nil {
		t.Fatalf("%q, %d bytes, %v", hi, len(rest), err)
	}
	if r := rec.wait(t); r.err != nil || r.status != 101 {
		t.Fatalf("recorded %+v", r)
	}
}

// Of several protocols one is chosen, and HTTP/2 never.
func TestUpgradeChosen(t *testing.T) {
	seen := make(chan string, 1)
	addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		var rest []string
		for name := range x.Request.Fields.All() {
			rest = append(rest, name)
		}
		seen <- strings.Clone(strings.Join(append([]string{x.Request.Upgrade}, rest...), " "))
		x.Respond(200, nil, 0)
		return nil
	}))
	for _, test := range []struct{ fields, want string }{
		{"Connection: upgrade\r\nUpgrade: a", "a"},
		{"Connection: x, upgrade\r\nUpgrade: a, b", "a"},
		{"Connection: upgrade\r\nUpgrade: a/1, WebSocket, b", "WebSocket"},
		{"Connection: upgrade\r\nUpgrade: a\r\nUpgrade: websocket", "websocket"},
		{"Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", ""},
		{"Connection: upgrade\r\nUpgrade: h2c, a\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "a"},
		{"Upgrade: a", ""}, // RFC 9110, section 7.8: Connection has to name it
		{"Connection: upgrade\r\nUpgrade: (a)", ""},
		{"Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 1", ""},
	} {
		c := dial(t, addr)
		c.say("GET / HTTP/1.1\r\nHost: x\r\n" + test.fields + "\r\n\r\nx")
		c.whole()
		if got := <-seen; got != test.want {
			t.Errorf("%q: got %q, want %q", test.fields, got, test.want)
		}
	}
	ask(t, addr, "GET / HTTP/1.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n")
	if got := <-seen; got != "" {
		t.Errorf("HTTP/1.0: got %q", got)
	}
}

// A 101 that does not answer what was asked for is an error, and what follows it
// is served to nobody.
func TestUpgradeFails(t *testing.T) {
	const ask101 = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	for _, test := range []struct{ request, response string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", switching},
		{ask101, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n"},
		{ask101, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"},
		{ask101, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
	} {
		rec := make(records, 1)
		tr := transport(t, switcher(t, test.response))
		res, _ := ask(t, proxy(t, edge.Chain(tr, rec)), test.request)
		if res.StatusCode != 502 || tr.Idle() != 0 {
			t.Errorf("%q: got %s", test.response, res.Status)
		}
		if r := rec.wait(t); edge.AsError(r.err).Kind != edge.UpgradeFailed {
			t.Errorf("%q: recorded %v", test.response, r.err)
		}
	}
}

// An origin that does not switch: what follows the request is the next one.
func TestUpgradeDeclined(t *testing.T) {
	o := rawOrigin(t, func(r *http.Request, n int) string {
		return "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\n" + r.URL.Path
	})
	c := dial(t, proxy(t, transport(t, o)))
	c.say("GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, want := range []string{"/a", "/b"} {
		if res, b := c.whole(); res.StatusCode != 426 || b != want {
			t.Error(res, b)
		}
	}
}

// Close cuts tunnels; Drain does not.
func TestTunnelClosed(t *testing.T) {
	rec := make(records, 1)
	s := http1.NewServer(edge.Chain(transport(t, switcher(t, switching)), rec), quick, discard)
	addr := listen(t, func(c net.Conn) { s.ServeConn(c, clientOf(c)) })
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a/1\r\n\r\n")
	c.head("GET")
	io.ReadFull(c.r, make([]byte, 3))
	s.Drain()
	if st := s.Stats(); st.Tunnels != 1 || st.Open != 1 {
		t.Errorf("after Drain: %+v", st)
	}
	s.Close()
	if got := s.Stats().Open; got != 0 {
		t.Errorf("%d connections are open after Close", got)
	}
	rec.wait(t)
	c.closed()
}
