package http2

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// versatile does different things by path. What it reads it checks.
func versatile(x *edge.Exchange) error {
	switch x.Request.Path {
	case "/echo":
		return echo(x)
	case "/read":
		n, err := io.Copy(io.Discard, x.Request.Body)
		if err != nil {
			return err
		}
		if x.Request.Length >= 0 && n != x.Request.Length {
			panic(fmt.Sprintf("BUG: %d bytes of content, %d declared", n, x.Request.Length))
		}
	case "/large":
		x.Respond(200, edge.Content(make([]byte, 200<<10)), -1)
		return nil
	case "/inform":
		x.Inform(103, &x.Request.Fields)
	}
	for n, v := range x.Request.Fields.All() {
		if !validLowerName(n) || !validValue(v) || edge.ConnectionField(n) {
			panic(fmt.Sprintf("BUG: field %q: %q", n, v))
		}
	}
	x.Respond(200, nil, 0)
	x.Response.Fields.CopyFrom(&x.Request.Fields)
	return nil
}

// FuzzServer: whatever follows the preface, the server does not panic, hang, or
// keep a stream.
func FuzzServer(f *testing.F) {
	seed := func(frames func(fr *http2.Framer, block func(lines ...string) []byte)) {
		var b bytes.Buffer
		fr := http2.NewFramer(&b, nil)
		fr.AllowIllegalWrites = true
		fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		p := &peer{}
		frames(fr, func(lines ...string) []byte {
			p.buf.Reset()
			p.enc = hpack.NewEncoder(&p.buf)
			return p.block(lines...)
		})
		f.Add(b.Bytes())
	}
	head := func(fr *http2.Framer, id uint32, end bool, block []byte) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: end})
	}
	on := func(path string, more ...string) []string { return with(with(post[:3], ":path: "+path), more...) }
	seed(func(fr *http2.Framer, block func(...string) []byte) {
		head(fr, 1, true, block(get...))
		head(fr, 3, true, block(on("/inform", "cookie: a", "cookie: b")...))
		fr.WritePing(false, [8]byte{})
		fr.WriteGoAway(0, http2.ErrCodeNo, nil)
	})
	seed(func(fr *http2.Framer, block func(...string) []byte) {
		head(fr, 1, false, block(on("/echo", "content-length: 4", "expect: 100-continue")...))
		fr.WriteDataPadded(1, false, []byte("ab"), make([]byte, 3))
		head(fr, 3, false, block(on("/read")...))
		fr.WriteData(1, false, []byte("cd"))
		head(fr, 1, true, block("x-sum: 1"))
		fr.WriteData(3, true, make([]byte, 1000))
	})
	seed(func(fr *http2.Framer, block func(...string) []byte) {
		head(fr, 1, true, block(on("/large")...))
		fr.WriteWindowUpdate(1, 50)
		fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100})
		fr.WriteWindowUpdate(0, 1<<20)
		fr.WriteRSTStream(1, http2.ErrCodeCancel)
		fr.WritePriority(3, http2.PriorityParam{StreamDep: 3})
		head(fr, 5, false, block(on("/")...))
		fr.WriteData(5, false, make([]byte, 10))
		fr.WriteWindowUpdate(5, 0)
	})
	seed(func(fr *http2.Framer, block func(...string) []byte) {
		b := block(on("/read", "x: y")...)
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:5]})
		fr.WriteContinuation(1, false, b[5:9])
		fr.WriteContinuation(1, true, b[9:])
		fr.WriteRawFrame(0xaa, 1, 1, []byte("x"))
		fr.WriteData(1, true, nil)
		fr.WriteData(1, true, nil)
	})
	f.Fuzz(func(t *testing.T, in []byte) {
		s := NewServer(edge.HandlerFunc(versatile), Config{Streams: 4, Empty: 20, Resets: 10, Queued: 20, HeaderBytes: 4 << 10}, nil)
		c, served := pipe(s)
		go io.Copy(io.Discard, c)
		c.SetDeadline(time.Now().Add(deadline))
		io.WriteString(c, http2.ClientPreface)
		c.Write(in)
		c.Close()
		<-served
		if st := s.Stats(); st.Active != 0 || st.Open != 0 {
			t.Errorf("left behind: %+v", st)
		}
		s.Close()
	})
}
