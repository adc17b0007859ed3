package admin

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/filters/journal"
)

// single is a listener of one connection.
type single struct {
	conn chan net.Conn
	done chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *single) Close() error   { close(l.done); return nil }
func (l *single) Addr() net.Addr { return &net.UnixAddr{Name: "test", Net: "unix"} }

// serve serves one connection, without buffers.
func serve(h http.HandlerFunc) (client net.Conn, end func()) {
	client, conn := net.Pipe()
	l := &single{make(chan net.Conn, 1), make(chan struct{})}
	l.conn <- conn
	s := &http.Server{Handler: h}
	go s.Serve(l)
	return client, func() {
		client.Close()
		s.Close()
	}
}

// unread serves a request of a client that reads the head of the answer, after which
// then is called, and nothing more. It returns how long the handler has gone on after
// that.
func unread(t *testing.T, h http.HandlerFunc, then func()) (took time.Duration) {
	ended := make(chan struct{})
	client, end := serve(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		h(w, r)
	})
	defer end()
	if _, err := client.Write([]byte("GET /?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReaderSize(client, 16), nil); err != nil {
		t.Fatal(err)
	}
	then()
	start := time.Now()
	<-ended // or the test ends here: nothing happens any more
	return time.Since(start)
}

// A client that does not read holds nothing for ever.
func TestUnread(t *testing.T) {
	t.Run("answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			took := unread(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, strings.Repeat("long ", 1<<20)) }, func() {})
			if took != readTime {
				t.Errorf("the answer is given up after %v, want %v", took, readTime)
			}
		})
	})
	t.Run("follower", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			j := journal.New(slog.New(slog.DiscardHandler), journal.Config{Followers: 1})
			took := unread(t, func(w http.ResponseWriter, r *http.Request) { new(API).follow(w, r, j) }, func() {
				if _, _, _, ok := j.Follow(); ok {
					t.Error("nobody follows")
				}
				<-time.After(time.Hour) // of the test's own clock: who has nothing to read is not cut off
				for range 1000 {
					j.Say("says", journal.Line{Text: "a line"})
				}
			})
			if took != readTime {
				t.Errorf("the follower is let go after %v, want %v", took, readTime)
			}
			_, _, stop, ok := j.Follow()
			if !ok {
				t.Fatal("the place of the follower is taken")
			}
			stop()
		})
	})
}

// The time that there was for an answer is not that for what follows on the connection.
func TestReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{log: slog.New(slog.DiscardHandler), socket: &single{}}
		client, end := serve(a.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			reply(w, http.StatusOK, fmt.Sprint(string(b), err))
		})).ServeHTTP)
		defer end()
		r := bufio.NewReader(client)
		for range 2 {
			if _, err := io.WriteString(client, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusContinue {
				t.Fatal(res, err)
			}
			<-time.After(sendTime - time.Second) // a slow client
			if _, err := io.WriteString(client, "text"); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); string(b) != "\"text<nil>\"\n" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			<-time.After(2 * readTime)
		}
	})
}
