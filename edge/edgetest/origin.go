package edgetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// origin is an HTTP/1.1 server that does what its rules say.
type origin struct {
	t       testing.TB
	name    string
	addr    string
	permits chan struct{} // what hold waits for
	done    chan struct{} // closed by close
	serving sync.WaitGroup

	mu       sync.Mutex   // guards the following fields
	listener net.Listener // nil: down
	rules    []*rule
	got      []*received
	conns    map[net.Conn]bool // whether it waits for a request
	accepted int
	gone     int           // peers that left while we held
	changed  chan struct{} // closed at the next change of a count
}

// rule is how the requests to a target are answered.
type rule struct {
	method, target string
	answers        [][]step
	next           int
	early          []bool // by answer: without waiting for the request's content
}

// received is a request that an origin got.
type received struct {
	head            string // as it came
	method, uri     string
	header, trailer http.Header
	body            []byte
}

func newOrigin(t testing.TB, name string) (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{
		t: t, name: name, addr: l.Addr().String(), listener: l,
		permits: make(chan struct{}, 1<<16), done: make(chan struct{}),
		conns: map[net.Conn]bool{}, changed: make(chan struct{}),
	}
	o.serving.Go(func() { o.accept(l) })
	return o, nil
}

// addRule makes o answer requests that before describes by steps.
func (o *origin) addRule(before, steps []word) error {
	if len(before) != 2 {
		return errors.New("want METHOD TARGET -> STEP")
	}
	target := before[1].name
	if before[1].set {
		target += "=" + before[1].value
	}
	answer, early, err := parseSteps(steps)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.rules {
		if r.method == before[0].name && r.target == target {
			r.answers, r.early = append(r.answers, answer), append(r.early, early)
			return nil
		}
	}
	o.rules = append(o.rules, &rule{method: before[0].name, target: target, answers: [][]step{answer}, early: []bool{early}})
	return nil
}

// answer returns the steps for a request; a rule that names it goes before one
// that has a star.
func (o *origin) answer(method, target string) (steps []step, early, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var best *rule
	stars := 3
	for _, r := range o.rules {
		n := strings.Count(r.method, "*") + strings.Count(r.target, "*")
		if (r.method == method || r.method == "*") && (r.target == target || r.target == "*") && n < stars {
			best, stars = r, n
		}
	}
	if best == nil {
		return nil, false, false
	}
	i := best.next
	best.next = min(i+1, len(best.answers)-1)
	return best.answers[i], best.early[i], true
}

func (o *origin) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		late := false // it went down meanwhile
		o.change(func() {
			if late = o.listener != l; !late {
				o.accepted++
				o.conns[c] = true
			}
		})
		if late {
			c.Close()
			return
		}
		o.serving.Go(func() {
			o.serve(c)
			c.Close()
			o.change(func() { delete(o.conns, c) })
		})
	}
}

// change runs f, which changes a count.
func (o *origin) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	close(o.changed)
	o.changed = make(chan struct{})
}

// serve answers the requests of a connection.
func (o *origin) serve(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		r, err := readHead(br)
		if err != nil {
			return // the peer has left, or we close
		}
		o.change(func() { o.conns[c] = false })
		steps, early, ok := o.answer(r.method, r.uri)
		if !ok {
			o.t.Errorf("%s got %s %s, for which it has no rule", o.name, r.method, r.uri)
			return
		}
		if !early {
			if strings.EqualFold(r.header.Get("Expect"), "100-continue") {
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			if err := r.readBody(br); err != nil {
				return // the peer has left
			}
		}
		o.change(func() { o.got = append(o.got, r) })
		a := answering{origin: o, conn: c, br: br, request: r}
		if !a.run(steps) || early {
			return
		}
		o.change(func() { o.conns[c] = true })
	}
}

// readHead reads a request's head.
func readHead(br *bufio.Reader) (*received, error) {
	var head strings.Builder
	for {
		l, err := br.ReadString('\n')
		if err != nil {
			return nil, err
		}
		head.WriteString(l)
		if l == "\r\n" {
			break
		}
	}
	tp := textproto.NewReader(bufio.NewReader(strings.NewReader(head.String())))
	first, err := tp.ReadLine()
	if err != nil {
		return nil, err
	}
	method, rest, _ := strings.Cut(first, " ")
	uri, _, _ := strings.Cut(rest, " ")
	header, err := tp.ReadMIMEHeader()
	return &received{head: head.String(), method: method, uri: uri, header: http.Header(header)}, err
}

// readBody reads a request's content and trailers.
func (r *received) readBody(br *bufio.Reader) (err error) {
	if strings.EqualFold(r.header.Get("Transfer-Encoding"), "chunked") {
		if r.body, err = io.ReadAll(httputil.NewChunkedReader(br)); err != nil {
			return err
		}
		trailer, err := textproto.NewReader(br).ReadMIMEHeader()
		r.trailer = http.Header(trailer)
		return err
	}
	n := r.header.Get("Content-Length")
	if n == "" {
		return nil
	}
	length, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, br, int64(length))
	r.body = b.Bytes()
	return err
}

// statement runs a statement about o that is not a rule.
func (o *origin) statement(args []word) error {
	if len(args) == 0 {
		return errors.New("want a rule, or something to do")
	}
	switch verb := args[0].name; verb {
	case "got":
		return o.checkGot(args[1:])
	case "wait":
		return o.count(args[1:], true)
	case "release":
		n := 1
		if len(args) > 1 {
			var err error
			if n, err = strconv.Atoi(args[1].name); err != nil {
				return err
			}
		}
		for range n {
			o.permits <- struct{}{}
		}
		return nil
	case "close-idle":
		o.mu.Lock()
		defer o.mu.Unlock()
		for c, idle := range o.conns {
			if idle {
				c.Close()
			}
		}
		return nil
	case "down":
		o.down()
		return nil
	case "up":
		l, err := net.Listen("tcp", o.addr)
		if err != nil {
			return err
		}
		o.mu.Lock()
		o.listener = l
		o.mu.Unlock()
		o.serving.Go(func() { o.accept(l) })
		return nil
	}
	return o.count(args, false)
}

// checkGot compares the last request, or the last to a target, with words.
func (o *origin) checkGot(words []word) error {
	method, uri := "", ""
	if len(words) >= 2 && !words[0].set && !strings.HasPrefix(words[0].name, "!") {
		method, uri = words[0].name, words[1].name
		if words[1].set {
			uri += "=" + words[1].value
		}
		words = words[2:]
	}
	o.mu.Lock()
	var r *received
	for _, g := range o.got {
		if method == "" || g.method == method && g.uri == uri {
			r = g
		}
	}
	o.mu.Unlock()
	if r == nil {
		return errors.New("there was no such request")
	}
	rest, err := checkFields(words, r.header, r.trailer)
	if err != nil {
		return err
	}
	var about []word
	for _, w := range rest {
		if w.name == "uri" && w.set {
			if !w.matches(r.uri) {
				return fmt.Errorf("got uri %q, want %s", r.uri, &w)
			}
			continue
		}
		about = append(about, w)
	}
	return checkContent(about, r.body)
}

// count compares a count: NAME == N. If wait is set it waits for that.
func (o *origin) count(words []word, wait bool) error {
	if len(words) != 3 || words[1].name != "==" {
		return errors.New("want a count, as in: requests == 1")
	}
	want, err := strconv.Atoi(words[2].name)
	if err != nil {
		return err
	}
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	for {
		o.mu.Lock()
		changed := o.changed
		got, ok := map[string]int{
			"requests":    len(o.got),
			"connections": o.accepted,
			"open":        len(o.conns),
			"gone":        o.gone,
		}[words[0].name]
		o.mu.Unlock()
		switch {
		case !ok:
			return fmt.Errorf("an origin counts requests, connections, open and gone, not %s", words[0].name)
		case got == want:
			return nil
		case !wait:
			return fmt.Errorf("got %d %s, want %d", got, words[0].name, want)
		}
		select {
		case <-changed:
		case <-patience.C:
			return fmt.Errorf("got %d %s, want %d", got, words[0].name, want)
		}
	}
}

// down stops listening and cuts every connection.
func (o *origin) down() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listener != nil {
		o.listener.Close()
		o.listener = nil
	}
	for c := range o.conns {
		c.Close()
	}
}

func (o *origin) close() {
	close(o.done)
	o.down()
	o.serving.Wait()
}
