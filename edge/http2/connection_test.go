package http2

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// hang is a handler that waits for the client to leave.
func hang(x *edge.Exchange) error {
	x.Block()
	<-x.Context().Done()
	return x.Cancelled()
}

// Errors of the connection end it, with the code that the RFC names.
func TestConnectionErrors(t *testing.T) {
	addr := listen(t, serve(hang, Config{}))
	bad := func(want http2.ErrCode, name string, send func(p *peer)) {
		t.Helper()
		p := dial(t, addr)
		send(p)
		if got := p.goAway(); got.ErrCode != want {
			t.Errorf("%s: GOAWAY %v (%s), want %v", name, got.ErrCode, got.DebugData(), want)
		}
		p.closed()
	}
	raw := func(typ http2.FrameType, flags http2.Flags, id uint32, payload ...byte) func(p *peer) {
		return func(p *peer) { p.check(p.fr.WriteRawFrame(typ, flags, id, payload)) }
	}
	setting := func(id http2.SettingID, v uint32) func(p *peer) {
		return raw(http2.FrameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, byte(id)}, v)...)
	}
	const protocol, flow, size, hpack, closed = http2.ErrCodeProtocol, http2.ErrCodeFlowControl, http2.ErrCodeFrameSize, http2.ErrCodeCompression, http2.ErrCodeStreamClosed

	bad(size, "a frame of 16385 bytes", raw(http2.FrameData, 0, 1, make([]byte, 16385)...))
	bad(protocol, "PUSH_PROMISE", raw(http2.FramePushPromise, 4, 1, 0, 0, 0, 2))
	bad(protocol, "CONTINUATION alone", raw(http2.FrameContinuation, 4, 1))

	bad(protocol, "DATA on stream 0", raw(http2.FrameData, 0, 0, 1))
	bad(protocol, "DATA on an idle stream", raw(http2.FrameData, 0, 1, 1))
	bad(protocol, "DATA that is all padding", raw(http2.FrameData, http2.FlagDataPadded, 1, 2, 0))
	bad(size, "DATA without room for padding", raw(http2.FrameData, http2.FlagDataPadded, 1))

	bad(protocol, "HEADERS on stream 0", raw(http2.FrameHeaders, 4, 0, 0x82))
	bad(protocol, "HEADERS on an even stream", raw(http2.FrameHeaders, 4, 2, 0x82))
	bad(protocol, "padding beyond HEADERS", raw(http2.FrameHeaders, 4|http2.FlagHeadersPadded, 1, 9, 0x82))
	bad(size, "HEADERS without room for its priority", raw(http2.FrameHeaders, 4|http2.FlagHeadersPriority, 1, 0, 0))
	bad(hpack, "an index of nothing", raw(http2.FrameHeaders, 5, 1, 0xff, 0x80, 0x01))
	bad(hpack, "a cut literal", raw(http2.FrameHeaders, 5, 1, 0x00, 0x05, 'a'))
	bad(hpack, "a cut integer", raw(http2.FrameHeaders, 5, 1, 0xff, 0xff))
	bad(hpack, "invalid Huffman", raw(http2.FrameHeaders, 5, 1, 0x04, 0x82, 0xff, 0xff))
	bad(hpack, "a table that is too large", raw(http2.FrameHeaders, 5, 1, 0x3f, 0xe2, 0x1f))
	bad(hpack, "a size update behind a field", raw(http2.FrameHeaders, 5, 1, 0x04, 0x01, 'a', 0x20))
	bad(protocol, "a stream number that falls", func(p *peer) {
		p.request(5, false, get...)
		p.request(5, false, get...) // trailers without END_STREAM: an error of the stream
		p.check(p.fr.WriteRawFrame(http2.FrameHeaders, 4, 4, []byte{0x82}))
	})
	bad(closed, "HEADERS on a stream passed over", func(p *peer) {
		p.request(5, false, get...)
		p.request(3, false, get...)
	})
	bad(protocol, "another frame amid a field section", func(p *peer) {
		p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get...)}))
		p.check(p.fr.WritePing(false, [8]byte{}))
	})
	bad(protocol, "CONTINUATION of another stream", func(p *peer) {
		p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get...)}))
		p.check(p.fr.WriteContinuation(3, true, nil))
	})

	bad(protocol, "SETTINGS on a stream", raw(http2.FrameSettings, 0, 1))
	bad(size, "SETTINGS of 5 bytes", raw(http2.FrameSettings, 0, 0, 0, 1, 0, 0, 0))
	bad(size, "acknowledgement with a payload", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, 0, 1, 0, 0, 0, 0))
	bad(protocol, "ENABLE_PUSH of 2", setting(http2.SettingEnablePush, 2))
	bad(flow, "INITIAL_WINDOW_SIZE of 2^31", setting(http2.SettingInitialWindowSize, 1<<31))
	bad(protocol, "MAX_FRAME_SIZE of 16383", setting(http2.SettingMaxFrameSize, 1<<14-1))
	bad(protocol, "MAX_FRAME_SIZE of 2^24", setting(http2.SettingMaxFrameSize, 1<<24))
	bad(flow, "INITIAL_WINDOW_SIZE that overflows a stream", func(p *peer) {
		p.request(1, false, get...)
		p.check(p.fr.WriteWindowUpdate(1, 1<<20))
		p.check(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}))
	})

	bad(size, "PING of 7 bytes", raw(http2.FramePing, 0, 0, 1, 2, 3, 4, 5, 6, 7))
	bad(protocol, "PING on a stream", raw(http2.FramePing, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8))
	bad(protocol, "GOAWAY on a stream", raw(http2.FrameGoAway, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0))
	bad(size, "GOAWAY of 7 bytes", raw(http2.FrameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	bad(protocol, "RST_STREAM on stream 0", raw(http2.FrameRSTStream, 0, 0, 0, 0, 0, 0))
	bad(protocol, "RST_STREAM on an idle stream", raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 0))
	bad(size, "RST_STREAM of 3 bytes", raw(http2.FrameRSTStream, 0, 1, 0, 0, 0))
	bad(protocol, "PRIORITY on stream 0", raw(http2.FramePriority, 0, 0, 0, 0, 0, 1, 1))

	bad(size, "WINDOW_UPDATE of 3 bytes", raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 1))
	bad(protocol, "WINDOW_UPDATE of nothing", raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 0, 0))
	bad(protocol, "WINDOW_UPDATE on an idle stream", raw(http2.FrameWindowUpdate, 0, 1, 0, 0, 0, 1))
	bad(flow, "a window beyond 2^31-1", raw(http2.FrameWindowUpdate, 0, 0, 0x7f, 0xff, 0xff, 0xff))
}

// Frames that say nothing to us change nothing.
func TestIgnoredFrames(t *testing.T) {
	p := dial(t, listen(t, serve(ok, Config{})))
	p.check(p.fr.WriteRawFrame(0xfa, 0xff, 77, []byte("unknown")))
	p.check(p.fr.WritePriority(9, http2.PriorityParam{StreamDep: 3, Weight: 7}))
	p.check(p.fr.WriteSettings(http2.Setting{ID: 0xfafa, Val: 1}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}))
	p.check(p.fr.WriteSettingsAck())
	p.alive(1)
	p.check(p.fr.WriteWindowUpdate(1, 100)) // it may have been on its way
	p.check(p.fr.WriteRSTStream(1, http2.ErrCodeCancel))
	p.check(p.fr.WritePing(false, [8]byte{1, 2, 3}))
	for {
		if f, isPing := p.frame().(*http2.PingFrame); isPing {
			if !f.IsAck() || f.Data != [8]byte{1, 2, 3} {
				t.Errorf("answer to PING: %v", f)
			}
			break
		}
	}
	// Padding, and a priority in front of the fields.
	p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: p.block(get...), EndHeaders: true, EndStream: true, PadLength: 200,
		Priority: http2.PriorityParam{StreamDep: 1, Weight: 2, Exclusive: true}}))
	if got := p.answer(3).status(); got != "200" {
		t.Errorf("status %q, want 200", got)
	}
	// Frames on streams that are closed.
	p.check(p.fr.WriteData(3, true, []byte("x")))
	if a := p.answer(3); a.reset != http2.ErrCodeStreamClosed {
		t.Errorf("DATA on a closed stream: %+v, want STREAM_CLOSED", a)
	}
	p.alive(5)
}

// RFC 9113, section 3.4.
func TestPreface(t *testing.T) {
	addr := listen(t, serve(ok, Config{}))
	bad := func(name string, send func(p *peer)) {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(deadline))
		p := attach(t, c)
		send(p)
		if got := p.goAway().ErrCode; got != http2.ErrCodeProtocol {
			t.Errorf("%s: GOAWAY %v, want PROTOCOL_ERROR", name, got)
		}
		p.closed()
	}
	bad("HTTP/1.1", func(p *peer) { p.c.Write([]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")) })
	bad("no SETTINGS", func(p *peer) {
		p.c.Write([]byte(http2.ClientPreface))
		p.check(p.fr.WritePing(false, [8]byte{}))
	})
	bad("an acknowledgement instead of SETTINGS", func(p *peer) {
		p.c.Write([]byte(http2.ClientPreface))
		p.check(p.fr.WriteSettingsAck())
	})
}

// Config.Streams: more are refused, and the connection goes on.
func TestTooManyStreams(t *testing.T) {
	release := make(chan struct{})
	s := serve(func(x *edge.Exchange) error {
		x.Block()
		<-release
		return ok(x)
	}, Config{Streams: 2})
	p := dial(t, listen(t, s))
	for id := uint32(1); id <= 5; id += 2 {
		p.request(id, true, get...)
	}
	if a := p.answer(5); a.reset != http2.ErrCodeRefusedStream {
		t.Errorf("third stream: %+v, want REFUSED_STREAM", a)
	}
	if st := s.Stats(); st.Open != 1 || st.Active != 2 || st.Idle != 0 || st.Refused != 1 {
		t.Errorf("stats %+v, want one open connection with 2 streams, 1 refused", st)
	}
	close(release)
	done := 0
	for done < 2 {
		if f, isHead := p.frame().(*http2.HeadersFrame); isHead {
			p.fieldsOf(f)
			done++
		}
	}
	eventually(t, "no stream is open", func() bool { return s.Stats().Active == 0 })
	p.alive(7)
}

// Floods: each bound ends the connection with ENHANCE_YOUR_CALM.
func TestFloods(t *testing.T) {
	flood := func(name string, cfg Config, h edge.HandlerFunc, send func(p *peer, i int) error) {
		t.Helper()
		s := serve(h, cfg)
		p := dial(t, listen(t, s))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 1 << 20 {
				if send(p, i) != nil {
					return
				}
			}
		}()
		if got := p.goAway().ErrCode; got != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("%s: GOAWAY %v, want ENHANCE_YOUR_CALM", name, got)
		}
		p.closed()
		p.c.Close()
		<-done
		if got := s.Stats().Floods; got != 1 {
			t.Errorf("%s: %d floods counted, want 1", name, got)
		}
	}
	head := dial(t, listen(t, serve(ok, Config{}))).block(get...) // the same on each connection
	headers := func(p *peer, id uint32, end bool) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndHeaders: true, EndStream: end})
	}
	flood("rapid reset", Config{Resets: 50}, hang, func(p *peer, i int) error {
		id := uint32(2*i + 1)
		if err := headers(p, id, true); err != nil {
			return err
		}
		return p.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	})
	flood("made you reset", Config{Resets: 50}, hang, func(p *peer, i int) error {
		id := uint32(2*i + 1)
		if err := headers(p, id, true); err != nil {
			return err
		}
		return p.fr.WriteWindowUpdate(id, 0)
	})
	flood("malformed requests", Config{Resets: 50}, hang, func(p *peer, i int) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: []byte{0x82}, EndHeaders: true, EndStream: true})
	})
	flood("empty DATA", Config{Empty: 50}, hang, func(p *peer, i int) error {
		if i == 0 {
			return headers(p, 1, false)
		}
		return p.fr.WriteData(1, false, nil)
	})
	flood("empty CONTINUATION", Config{Empty: 50}, hang, func(p *peer, i int) error {
		if i == 0 {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
		}
		return p.fr.WriteContinuation(1, false, nil)
	})
	flood("PRIORITY", Config{Empty: 50}, hang, func(p *peer, i int) error {
		return p.fr.WritePriority(1, http2.PriorityParam{StreamDep: 3})
	})
	flood("unknown frames", Config{Empty: 50}, hang, func(p *peer, i int) error {
		return p.fr.WriteRawFrame(0xee, 0, 0, nil)
	})
	flood("drops of window", Config{Empty: 50}, func(x *edge.Exchange) error {
		x.Respond(200, edge.Content(make([]byte, 1<<20)), 1<<20)
		return nil
	}, func(p *peer, i int) error {
		if i == 0 {
			return headers(p, 1, true)
		}
		return p.fr.WriteWindowUpdate(1, 1)
	})
}

// Streams that are answered pay for some that are reset.
func TestResetsOfAFriendlyClient(t *testing.T) {
	s := serve(func(x *edge.Exchange) error {
		if x.Request.Path == "/hang" {
			return hang(x)
		}
		return ok(x)
	}, Config{Resets: 5})
	p := dial(t, listen(t, s))
	id := uint32(1)
	for range 50 {
		p.request(id, true, with(get[:3], ":path: /hang")...)
		p.check(p.fr.WriteRSTStream(id, http2.ErrCodeCancel))
		p.alive(id + 2)
		id += 4
	}
}

// A client that does not read the answers to its control frames: Config.Queued.
func TestControlFramesOfAClientThatDoesNotRead(t *testing.T) {
	s := NewServer(edge.HandlerFunc(hang), Config{Queued: 100}, nil) // with its watch: the flush is stuck
	c, served := pipe(s)
	p := attach(t, c)
	p.greet()
	p.request(1, true, get...)
	var err error
	for err == nil {
		err = p.fr.WritePing(false, [8]byte{}) // and nobody reads
	}
	<-served
	if got := s.Stats().Floods; got != 1 {
		t.Errorf("%d floods counted, want 1", got)
	}
	s.Close()
}

// pipe serves one end of an in-memory connection.
func pipe(s *Server) (client net.Conn, served chan struct{}) {
	client, server := net.Pipe()
	served = make(chan struct{})
	go func() {
		defer close(served)
		s.ServeConn(server, edge.Client{})
	}()
	return client, served
}

// Drain: GOAWAY that names no stream, a PING, GOAWAY that names the last one; the
// streams end, and then the connection.
func TestDrain(t *testing.T) {
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	s := serve(func(x *edge.Exchange) error {
		if x.Request.Path == "/wait" {
			x.Block()
			<-released
		}
		return ok(x)
	}, Config{})
	addr := listen(t, s)
	quiet := dial(t, addr)
	p := dial(t, addr)
	p.request(1, true, with(get[:3], ":path: /wait")...)
	eventually(t, "the request is served", func() bool { return s.Stats().Active == 1 })
	s.Drain()
	if got := p.goAway(); got.LastStreamID != maxStreamID || got.ErrCode != http2.ErrCodeNo {
		t.Errorf("first GOAWAY %v, want NO_ERROR and the largest id", got)
	}
	ping, isPing := p.frame().(*http2.PingFrame)
	if !isPing {
		t.Fatal("no PING behind the first GOAWAY")
	}
	p.alive(3) // it cannot have known
	p.check(p.fr.WritePing(true, ping.Data))
	if got := p.goAway(); got.LastStreamID != 3 || got.ErrCode != http2.ErrCodeNo {
		t.Errorf("second GOAWAY %v, want NO_ERROR and 3", got)
	}
	p.request(5, false, get...) // ignored, with what belongs to it
	p.check(p.fr.WriteData(5, false, []byte("x")))
	p.check(p.fr.WriteWindowUpdate(5, 1))
	p.check(p.fr.WriteRSTStream(5, http2.ErrCodeCancel))
	release()
	if got := p.answer(1).status(); got != "200" {
		t.Errorf("status of the stream that was open = %q, want 200", got)
	}
	p.closed()
	p.c.Close()
	// The other client does not answer the PING; its connection has no streams.
	quiet.goAway()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Wait(ctx); err != context.Canceled {
		t.Errorf("Wait with an open connection = %v, want context.Canceled", err)
	}
	quiet.c.Close()
	if err := s.Wait(context.Background()); err != nil {
		t.Errorf("Wait = %v", err)
	}
	// Those that come now are told at once.
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	late := attach(t, c)
	c.Write([]byte(http2.ClientPreface))
	late.check(late.fr.WriteSettings())
	late.goAway()
}

// A client that sends GOAWAY is done when its streams are.
func TestClientGoAway(t *testing.T) {
	release := make(chan struct{})
	p := dial(t, listen(t, serve(func(x *edge.Exchange) error {
		x.Block()
		<-release
		return ok(x)
	}, Config{})))
	p.request(1, true, get...)
	p.check(p.fr.WriteGoAway(0, http2.ErrCodeNo, nil))
	if got := p.goAway(); got.LastStreamID != 1 {
		t.Errorf("GOAWAY %v, want the last stream to be 1", got)
	}
	close(release)
	if got := p.answer(1).status(); got != "200" {
		t.Errorf("status %q, want 200", got)
	}
	p.closed()
}

// Close cuts connections and waits for their exchanges.
func TestClose(t *testing.T) {
	ended := false
	s := serve(func(x *edge.Exchange) error {
		err := hang(x)
		ended = true
		return err
	}, Config{})
	p := dial(t, listen(t, s))
	p.request(1, true, get...)
	eventually(t, "the request is served", func() bool { return s.Stats().Active == 1 })
	s.Close()
	if !ended {
		t.Error("Close has not waited for the exchange")
	}
	p.closed()
	c, served := pipe(s)
	<-served // at once
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("read from a closed server: %v", err)
	}
}
