package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// decodeAll returns what x/net's decoder makes of a block, as lines.
func decodeAll(t testing.TB, d *hpack.Decoder, b []byte) string {
	t.Helper()
	fields, err := d.DecodeFull(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	var s strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&s, "%s: %s\n", f.Name, f.Value)
	}
	return s.String()
}

func TestEncoder(t *testing.T) {
	e, d := newEncoder(), hpack.NewDecoder(tableSize, nil)
	f := func(length int, want string, encode func(b []byte) []byte) {
		t.Helper()
		b := encode(e.begin(nil))
		if got := decodeAll(t, d, b); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if len(b) != length {
			t.Errorf("%q takes %d bytes, want %d", want, len(b), length)
		}
	}
	field := func(n, v string) func([]byte) []byte {
		return func(b []byte) []byte { return e.field(b, n, v) }
	}
	f(1, ":status: 200\n", func(b []byte) []byte { return e.status(b, 200) })
	f(1, ":status: 404\n", func(b []byte) []byte { return e.status(b, 404) })
	f(5, ":status: 503\n", func(b []byte) []byte { return e.status(b, 503) }) // without a place in the table
	f(5, ":status: 503\n", func(b []byte) []byte { return e.status(b, 503) }) // enters it
	f(1, ":status: 503\n", func(b []byte) []byte { return e.status(b, 503) })
	f(10, "x-a: b c d\n", field("X-A", "b c d"))
	f(10, "x-a: b c d\n", field("x-a", "b c d"))
	f(1, "x-a: b c d\n", field("X-a", "b c d"))
	f(5, "content-length: 12\n", func(b []byte) []byte { return e.length(b, 12) })
	for range 3 { // never kept
		f(6, "set-cookie: a=b\n", field("Set-Cookie", "a=b"))
	}
	f(3, "server: \n", field("Server", ""))

	// The client's limit is announced, and kept.
	e.resize(40)
	e.resize(100)
	f(13, "x-b: cdefg\n", field("x-b", "cdefg")) // two size updates
	f(10, "x-b: cdefg\n", field("x-b", "cdefg")) // more than a quarter of the table
	e.resize(0)
	f(11, "x-a: b c d\n", field("x-a", "b c d"))
	e.resize(1 << 20)
	f(14, "x-a: b c d\n", field("x-a", "b c d"))
	f(1, "x-a: b c d\n", field("x-a", "b c d"))

	// Entries are evicted in order.
	for i := range 1000 {
		v := fmt.Sprintf("value of field %d", i/2)
		if got := decodeAll(t, d, e.field(nil, "x", v)); got != "x: "+v+"\n" {
			t.Fatalf("got %q", got)
		}
	}
	if e.size > tableSize || len(e.entries) < 50 {
		t.Errorf("the table holds %d bytes, %d entries", e.size, len(e.entries))
	}
}

// The table must not alias what it is given.
func TestEncoderKeepsCopies(t *testing.T) {
	e, d := newEncoder(), hpack.NewDecoder(tableSize, nil)
	buf := []byte("value of some length")
	alias := unsafe.String(&buf[0], len(buf))
	for range 2 {
		decodeAll(t, d, e.field(nil, "x", alias))
	}
	copy(buf, "other")
	if got := e.entries[0].value; got != "value of some length" {
		t.Errorf("the table's entry has become %q", got)
	}
	if got := decodeAll(t, d, e.field(nil, "x", "value of some length")); got != "x: value of some length\n" {
		t.Errorf("got %q", got)
	}
	if got := decodeAll(t, d, e.field(nil, "x", alias)); got != "x: other of some length\n" {
		t.Errorf("got %q", got)
	}
}

// FuzzEncoder: whatever is encoded, x/net's decoder reads the same. Each line is a
// field; one that begins with '=' sets the size of the table.
func FuzzEncoder(f *testing.F) {
	f.Add("A: b\nA: b\nA: b\n=0\nA: b\n=4096\nA: b\nA: b\nA: b")
	f.Add("x: " + strings.Repeat("y", 5000) + "\nx: 1\nx: 1\n=33\nx: 1\nset-cookie: a")
	f.Add("content-type: text/html\ncontent-type: text/html\n=70\netag: \"a\"\netag: \"a\"\netag: \"a\"")
	f.Fuzz(func(t *testing.T, script string) {
		e, d := newEncoder(), hpack.NewDecoder(tableSize, nil)
		for line := range strings.SplitSeq(script, "\n") {
			if size, ok := strings.CutPrefix(line, "="); ok {
				if n, err := strconv.ParseUint(size, 10, 32); err == nil {
					e.resize(uint32(n))
				}
				continue
			}
			name, value, _ := strings.Cut(line, ": ")
			if !validName(name) {
				continue
			}
			want := strings.ToLower(name) + ": " + value + "\n"
			if got := decodeAll(t, d, e.field(e.begin(nil), name, value)); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

// newDecoding returns a connection that can decode, and nothing else.
func newDecoding() *conn {
	c := &conn{}
	c.dec = hpack.NewDecoder(tableSize, c.sect.add)
	return c
}

// FuzzDecode: what goes to the arena and what goes to x/net's decoder is together
// what x/net's decoder alone makes of the blocks.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for range 2 {
		for _, h := range []hpack.HeaderField{{Name: "a", Value: "b"}, {Name: "a", Value: "b", Sensitive: true},
			{Name: "path", Value: "/x?y=%20z"}, {Name: "x-long", Value: strings.Repeat("#", 300)}} {
			enc.WriteField(h)
		}
	}
	f.Add(b.Bytes(), []byte{0x04, 0x01, '/', 0x00, 0x01, 'a', 0x00})
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x82}, []byte{0x0f, 0x2f, 0x01, 'a'})
	f.Add([]byte{0x04, 0x82, 0x60, 0xd5}, []byte{0x10, 0x01, 'a', 0x81, 0x1f})
	f.Add([]byte{0x00}, []byte{0xff})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c, plain := newDecoding(), hpack.NewDecoder(tableSize, nil)
		for _, block := range [][]byte{one, two} {
			var r edge.Request
			text := []byte(nil)
			c.sect = section{request: &r, fields: &r.Fields, text: &text, maximum: 1 << 20, limit: 1 << 30, length: -1}
			got := c.decode(block)
			var fields []hpack.HeaderField
			plain.SetEmitFunc(func(f hpack.HeaderField) { fields = append(fields, f) })
			_, want := plain.Write(block)
			if err := plain.Close(); want == nil {
				want = err
			}
			if (got == nil) != (want == nil) {
				// We are stricter about integers, and right about two changes of the
				// table's size.
				if want == nil || strings.Contains(want.Error(), "dynamic table size update MUST") {
					return
				}
				t.Fatalf("%x: got %v, want %v", block, got, want)
			}
			if got != nil {
				return
			}
			ref := section{request: &edge.Request{}, maximum: 1 << 20, limit: 1 << 30, length: -1}
			ref.fields = &ref.request.Fields
			for _, f := range fields {
				ref.add(f)
			}
			a := fmt.Sprintf("%q %q %q %q", r.Method, r.Path, c.sect.bad, r.Fields)
			b := fmt.Sprintf("%q %q %q %q", ref.request.Method, ref.request.Path, ref.bad, ref.request.Fields)
			if a != b {
				t.Fatalf("%x:\ngot  %s\nwant %s", block, a, b)
			}
		}
	})
}

// Field sections of any length become frames of at most 16 KiB.
func TestFinishHeaders(t *testing.T) {
	for _, n := range []int{0, 1, maxFrame - 1, maxFrame, maxFrame + 1, 2 * maxFrame, 2*maxFrame + 1, 5*maxFrame - 7} {
		block := make([]byte, n)
		for i := range block {
			block[i] = byte(i / 7)
		}
		b := append([]byte("before"), make([]byte, frameHead)...)
		b = finishHeaders(append(b, block...), len("before"), 5, true)
		fr := http2.NewFramer(nil, bytes.NewReader(b[len("before"):]))
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		h := f.(*http2.HeadersFrame)
		got, end := bytes.Clone(h.HeaderBlockFragment()), h.HeadersEnded()
		if !h.StreamEnded() {
			t.Errorf("%d: no END_STREAM", n)
		}
		for !end {
			if f, err = fr.ReadFrame(); err != nil {
				t.Fatal(err)
			}
			c := f.(*http2.ContinuationFrame)
			got, end = append(got, c.HeaderBlockFragment()...), c.HeadersEnded()
		}
		if !bytes.Equal(got, block) {
			t.Errorf("%d bytes have changed on their way", n)
		}
	}
}

// The frames that we append are the ones that x/net's Framer reads.
func TestAppendFrames(t *testing.T) {
	f := func(want string, b []byte) {
		t.Helper()
		fr := http2.NewFramer(nil, bytes.NewReader(b))
		frame, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		got := frame.Header().String()
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			got += fmt.Sprintf(" %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
		case *http2.RSTStreamFrame:
			got += " " + f.ErrCode.String()
		case *http2.WindowUpdateFrame:
			got += fmt.Sprint(" ", f.Increment)
		case *http2.DataFrame:
			got += fmt.Sprintf(" %s", f.Data())
		case *http2.PingFrame:
			got += fmt.Sprintf(" %s", f.Data)
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("[FrameHeader SETTINGS len=6]", appendSettings(nil, http2.Setting{ID: 1, Val: 2}))
	f("[FrameHeader SETTINGS flags=ACK len=0]", appendSettingsAck(nil))
	f("[FrameHeader PING flags=ACK len=8] datadata", appendPing(nil, http2.FlagPingAck, [8]byte([]byte("datadata"))))
	f("[FrameHeader GOAWAY len=11] 70000 CANCEL why", appendGoAway(nil, 70000, http2.ErrCodeCancel, "why"))
	f("[FrameHeader RST_STREAM stream=16777217 len=4] NO_ERROR", appendReset(nil, 1<<24+1, http2.ErrCodeNo))
	f("[FrameHeader WINDOW_UPDATE stream=3 len=4] 100000", appendWindowUpdate(nil, 3, 100000))
	f("[FrameHeader DATA flags=END_STREAM stream=3 len=2] ab", appendData(nil, 3, []byte("ab"), true))
}

func TestReadInteger(t *testing.T) {
	f := func(v uint64, n int) {
		t.Helper()
		b := appendInteger(nil, 0, n, v)
		if got, length := readInteger(b, n); got != v || length != len(b) {
			t.Errorf("%d with a prefix of %d bits: got %d of %d bytes, want all of %x", v, n, got, length, b)
		}
		for i := range b {
			if _, length := readInteger(b[:i], n); length != 0 {
				t.Errorf("%x: %d bytes of a cut integer", b[:i], length)
			}
		}
	}
	for n := 4; n <= 7; n++ {
		for _, v := range []uint64{0, 1, 14, 15, 16, 30, 31, 126, 127, 128, 254, 255, 300, 1 << 14, 1<<21 + 5, 1<<28 - 1} {
			f(v, n)
		}
	}
	if _, n := readInteger(binary.AppendUvarint([]byte{0x7f}, 1<<40), 7); n != 0 {
		t.Error("an integer of 2^40 is read")
	}
}
