package http2

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// Windows of the client: nothing is sent beyond them.
func TestSendWindows(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 20<<10) // 200 KiB
	p := dial(t, listen(t, serve(func(x *edge.Exchange) error {
		x.Respond(200, edge.Content(content), int64(len(content)))
		return nil
	}, Config{})), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	p.request(1, true, get...)
	var got []byte
	read := func(n int) {
		t.Helper()
		for want := len(got) + n; len(got) < want; {
			if f, isData := p.frame().(*http2.DataFrame); isData {
				got = append(got, f.Data()...)
				if len(got) > want {
					t.Fatalf("%d bytes, the window allows %d", len(got), want)
				}
			}
		}
	}
	read(10)
	p.check(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})) // now it is -5
	p.check(p.fr.WriteWindowUpdate(1, 8))
	read(3)
	p.check(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	read(65535 - 13) // the connection's
	p.request(3, true, get...)
	p.check(p.fr.WriteWindowUpdate(0, 1<<20))
	for len(got) < len(content) {
		f := p.frame()
		if d, isData := f.(*http2.DataFrame); isData && d.StreamID == 1 {
			got = append(got, d.Data()...)
		}
	}
	if !bytes.Equal(got, content) {
		t.Error("the content has changed on its way")
	}
}

// Streams that wait for the flusher share the connection's window when they go on.
func TestSharedWindow(t *testing.T) {
	gate := make(chan struct{})
	s := serve(func(x *edge.Exchange) error {
		x.Block()
		<-gate
		list := make([]string, 20)
		for i := range list {
			list[i] = strings.Repeat("x", maxFrame)
		}
		x.Respond(200, &pieces{list: list}, -1)
		return nil
	}, Config{Waiting: 1})
	p := dial(t, listen(t, s), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	for id := uint32(1); id < 65; id += 2 {
		p.request(id, true, get...)
	}
	const window = defaultWindow + 1<<20 // more than the socket takes, and less than there is
	p.check(p.fr.WriteWindowUpdate(0, 1<<20))
	close(gate)
	n := 0
	read := func() {
		if f, isData := p.frame().(*http2.DataFrame); isData {
			if n += len(f.Data()); n > window {
				t.Fatalf("%d bytes, the window allows %d", n, window)
			}
		}
	}
	for n < window {
		read()
	}
	eventually(t, "all streams that are left wait for the window", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, st := range c.streams { // some have got all of theirs
				if st.waits == 0 {
					return false
				}
			}
		}
		return true
	})
	p.check(p.fr.WritePing(false, [8]byte{}))
	for {
		f := p.frame()
		if d, isData := f.(*http2.DataFrame); isData && len(d.Data()) > 0 {
			t.Fatalf("%d bytes beyond the window", len(d.Data()))
		}
		if ping, isPing := f.(*http2.PingFrame); isPing && ping.IsAck() {
			return
		}
	}
}

// The memory of a body that is read as it comes is bounded by what is not read.
func TestContentMemory(t *testing.T) {
	s := &stream{}
	p := make([]byte, 10_000)
	for range 1000 {
		s.append(p)
		s.off = len(s.content) - len(p)/2 // the reader is always a little behind
	}
	if got := cap(s.content); got > 10*len(p) {
		t.Errorf("%d bytes are held for %d that wait", got, len(p)/2)
	}
}

// Windows of ours: a client that goes beyond them is in error, and bytes that are
// read are given back.
func TestReceiveWindows(t *testing.T) {
	read := make(chan int)
	defer close(read)
	s := serve(func(x *edge.Exchange) error {
		x.Block()
		buf := make([]byte, 1<<20)
		for n := range read {
			if _, err := io.ReadFull(x.Request.Body, buf[:n]); err != nil {
				return err
			}
		}
		return errors.New("the test is over")
	}, Config{StreamWindow: 64 << 10, ConnWindow: 128 << 10})
	p := dial(t, listen(t, s))
	fill := func(id uint32, n int) {
		for ; n > 0; n -= maxFrame {
			p.check(p.fr.WriteData(id, false, make([]byte, min(n, maxFrame))))
		}
	}
	p.request(1, false, post...)
	fill(1, 64<<10)
	read <- 64 << 10
	given := map[uint32]uint32{}
	for given[0] < 32<<10 || given[1] < 32<<10 {
		if f, isUpdate := p.frame().(*http2.WindowUpdateFrame); isUpdate {
			given[f.StreamID] += f.Increment
		}
	}
	fill(1, int(given[1])) // what was given may be used
	read <- int(given[1])
	read <- 0                // taken when that has been read
	fill(1, 64<<10+maxFrame) // more than a window, and nobody reads
	if a := p.answer(1); a.reset != http2.ErrCodeFlowControl {
		t.Errorf("beyond the window: %+v, want FLOW_CONTROL_ERROR", a)
	}
}

// h2c returns a client that speaks HTTP/2 without TLS by prior knowledge.
func h2c() *http.Transport {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: &only}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client that writes without reading: both directions fill up, and nothing may
// lock up. Another client's implementation.
func TestManyEchoes(t *testing.T) {
	addr := listen(t, serve(echo, Config{}))
	tr := h2c()
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: 2 * deadline}
	const size = 1 << 20
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			res, err := c.Post("http://"+addr+"/", "", io.LimitReader(zeros{}, size))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
				t.Errorf("echo of %d bytes: %d, %v", size, n, err)
			}
		})
	}
	wg.Wait()
}

// A pump reads the request on a goroutine of its own, while the handler waits for
// what it leads to: gRPC's ping-pong through a proxy.
func TestPump(t *testing.T) {
	s := serve(func(x *edge.Exchange) error {
		pr, pw := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 1000)
			for {
				n, err := x.Request.Body.Read(buf)
				pw.Write(buf[:n])
				if err != nil {
					pw.CloseWithError(err)
					return
				}
			}
		}()
		x.OnEnd(enderFunc(func() {
			x.Request.Body.Close()
			pr.Close()
			<-done
		}))
		x.Respond(200, &pumped{pr, x}, -1)
		x.Response.Trailers.Add("grpc-status", "0")
		return nil
	}, Config{})
	p := dial(t, listen(t, s))
	for id := uint32(1); id < 7; id += 2 {
		p.request(id, false, with(post, "te: trailers", "content-type: application/grpc")...)
	}
	for i := range 50 {
		for id := uint32(1); id < 7; id += 2 {
			m := bytes.Repeat([]byte{byte(i), byte(id)}, 100)
			p.check(p.fr.WriteData(id, false, m))
			var got []byte
			for len(got) < len(m) {
				if f, isData := p.frame().(*http2.DataFrame); isData && f.StreamID == id {
					got = append(got, f.Data()...)
				}
			}
			if !bytes.Equal(got, m) {
				t.Fatalf("message %d of stream %d has changed", i, id)
			}
		}
	}
	for id := uint32(1); id < 7; id += 2 {
		p.check(p.fr.WriteData(id, true, nil))
		if a := p.answer(id); a.trailers["grpc-status"] != "0" {
			t.Errorf("end of stream %d: %+v", id, a)
		}
	}
	// A stream whose pump still waits for the client when the answer is over.
	p.request(7, false, post...)
	p.check(p.fr.WriteRSTStream(7, http2.ErrCodeCancel))
	p.request(9, false, post...)
	p.check(p.fr.WriteData(9, true, []byte("x")))
	if a := p.answer(9); string(a.content) != "x" {
		t.Errorf("the stream behind a cancelled one: %+v", a)
	}
}

type pumped struct {
	*io.PipeReader
	x *edge.Exchange
}

func (p *pumped) Read(b []byte) (int, error) {
	p.x.Block()
	return p.PipeReader.Read(b)
}
