package admin

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that announces a body and does not send it holds nothing for ever, and one
// that sends it slowly is waited for.
func TestUnsent(t *testing.T) {
	readAll := func(w http.ResponseWriter, r *http.Request) {
		if _, err := readText(w, r, 1<<20); err != nil {
			new(API).failed(w, r, err)
			return
		}
		reply(w, http.StatusOK, "read")
	}
	refuse := func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusConflict, "refused") }
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		head    string
		pieces  int
		pause   time.Duration // before each piece
		took    time.Duration
		status  int
	}{
		{"nothing", readAll, "Content-Length: 10", 0, 0, sendTime, 408},
		{"a part", readAll, "Content-Length: 10", 3, time.Second, 3*time.Second + sendTime, 408},
		{"a chunk", readAll, "Transfer-Encoding: chunked", 0, 0, sendTime, 408},
		{"slowly", readAll, "Content-Length: 10", 10, sendTime - time.Second, 10 * (sendTime - time.Second), 200},
		{"refused", refuse, "Content-Length: 10", 0, 0, sendTime, 409},
		{"refused, and large", refuse, "Content-Length: 10000000", 0, 0, 0, 409},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &API{log: slog.New(slog.DiscardHandler), socket: &single{}}
				client, end := serve(a.guard(c.handler).ServeHTTP)
				defer func() {
					end()
					<-time.After(time.Second) // for which the server lets a connection linger
				}()
				start := time.Now()
				io.WriteString(client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\n"+c.head+"\r\n\r\n")
				go func() {
					for range c.pieces {
						<-time.After(c.pause)
						io.WriteString(client, "a")
					}
				}()
				res, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != c.took || res.StatusCode != c.status {
					t.Errorf("%d after %v, want %d after %v", res.StatusCode, took, c.status, c.took)
				}
			})
		})
	}
}

// The server goes on hearing a client that has sent all and waits for long.
func TestSentAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{log: slog.New(slog.DiscardHandler), socket: &single{}}
		client, end := serve(a.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
				reply(w, http.StatusOK, "cancelled")
			case <-time.After(3 * sendTime):
				reply(w, http.StatusOK, "done")
			}
		})).ServeHTTP)
		defer end()
		io.WriteString(client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
		res, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); !strings.Contains(string(b), "done") || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}
