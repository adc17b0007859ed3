package wasm

import (
	"bytes"
	"slices"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// plain is a data section of segments at constant places.
type plain []struct {
	at   int64
	init string
}

func (p plain) section() []byte {
	m := merger{}
	for _, s := range p {
		m.emit(s.at, []byte(s.init))
	}
	return append(appendU32(nil, m.count), m.out...)
}

// image is what a section of plain segments makes of a memory of zeros, and how
// far it reaches.
func image(t testing.TB, section []byte) (memory []byte, reach int64, segments int) {
	t.Helper()
	memory = make([]byte, 1<<20)
	r := reader{b: section}
	for range r.u32() {
		at, init, ok := r.plainSegment()
		if !ok {
			t.Fatalf("%x: a segment is not plain", section)
		}
		reach = max(reach, at+int64(len(init)))
		copy(memory[min(at, int64(len(memory))):], init)
		segments++
	}
	if r.p != len(section) || r.err != nil {
		t.Fatalf("%x: %d of %d bytes, %v", section, r.p, len(section), r.err)
	}
	return memory, reach, segments
}

func TestMergeData(t *testing.T) {
	f := func(want int, p plain) {
		t.Helper()
		before, reach, _ := image(t, p.section())
		after, reached, n := image(t, mergeData(p.section()))
		if n != want || reached != reach || !bytes.Equal(before, after) {
			t.Errorf("%.80v: %d segments that reach %d, want %d that reach %d; the same: %v", p, n, reached, want, reach, bytes.Equal(before, after))
		}
	}
	f(0, nil)
	f(1, plain{{0, "a"}})
	f(1, plain{{100, "a"}, {101, "b"}})
	f(1, plain{{100, "a"}, {101 + maxGap, "b"}, {110 + maxGap, "c"}})
	f(2, plain{{100, "a"}, {102 + maxGap, "b"}})
	f(2, plain{{100, "abc"}, {102, "d"}})                                 // one on the other
	f(2, plain{{100, "a"}, {90, "b"}})                                    // back
	f(2, plain{{100, "abc"}, {90, "b"}, {95, "c"}})                       // below the first
	f(3, plain{{100, "abc"}, {90, "b"}, {104, "c"}})                      // the first is in between
	f(2, plain{{100, "abc"}, {90, "b"}, {91, "c"}, {92, "12345678901"}})  // and is written over
	f(3, plain{{0, "a"}, {500, "b"}, {200, "c"}, {201, "d"}, {202, "e"}}) //
	var many plain
	for i := range int64(100) {
		many = append(many, struct {
			at   int64
			init string
		}{1 << 19 * (1 - i%2), "x"}, struct {
			at   int64
			init string
		}{1000*i + 1000, "y"}, struct {
			at   int64
			init string
		}{1000*i + 1010, "z"})
	}
	f(300-maxSpans/2, many)                        // only so many spans are known apart
	f(1, plain{{100, "a"}, {110, ""}, {111, "b"}}) // an empty one still reaches
	f(2, plain{{100, ""}, {200, ""}})
	f(1, plain{{63, "a"}, {64, "b"}, {127, "c"}, {128, "d"}, {255, "e"}})
	f(1, plain{{1 << 30, "a"}, {1<<30 + 5, "b"}})
	f(1, plain{{1<<31 - 1, "a"}})
}

// Segments that are not plain go as they are, and so does what follows.
func TestMergeOpaque(t *testing.T) {
	for _, segments := range []string{
		"\x00\x41\x7f\x0b\x01a",                     // at -1
		"\x00\x41\xff\xff\xff\xff\x7f\x0b\x01a",     // likewise
		"\x00\x41\x80\x80\x80\x80\x08\x0b\x01a",     // at 2 GiB
		"\x00\x23\x00\x0b\x01a",                     // where a global says
		"\x01\x01a",                                 // nowhere
		"\x02\x00\x41\x05\x0b\x01a",                 // with a number of a memory
		"\x00\x41\x80\x80\x80\x80\x80\x00\x0b\x01a", // of more than 32 bits
	} {
		section := []byte("\x03" + segments + "\x00\x41\x05\x0b\x01b" + "\x00\x41\x06\x0b\x01c")
		if got := mergeData(section); !bytes.Equal(got, section) {
			t.Errorf("%x has become %x", section, got)
		}
	}
}

// The segments of a module that counts them may be referred to by number.
func TestCountedData(t *testing.T) {
	module := func(sections string) []byte {
		return []byte("\x00asm\x01\x00\x00\x00" + "\x05\x03\x01\x00\x01" + sections +
			"\x0b\x0d\x02" + "\x00\x41\x05\x0b\x01a" + "\x00\x41\x06\x0b\x01b")
	}
	for sections, merged := range map[string]bool{"": true, "\x0c\x01\x02": false} {
		_, out, err := bound(module(sections), 1)
		if err != nil || bytes.Equal(out, module(sections)) == merged || valid(out) != nil {
			t.Errorf("%x: %x, %v", sections, out, err)
		}
	}
}

func FuzzMergeData(f *testing.F) {
	f.Add(plain{{0, "a"}, {5, "b"}, {3, "c"}}.section())
	f.Add([]byte("\x03\x00\x41\x7f\x0b\x01a\x00\x41\x05\x0b\x01b\x00\x41\x06\x0b\x01c"))
	f.Fuzz(func(t *testing.T, section []byte) {
		r := reader{b: section}
		r.readData()
		if r.err != nil || r.p != len(section) {
			return
		}
		merged := mergeData(section)
		m := reader{b: merged}
		m.readData()
		if m.err != nil || m.p != len(merged) {
			t.Fatalf("%x has become %x: %v", section, merged, m.err)
		}
		p := reader{b: section}
		for range p.u32() {
			if _, _, ok := p.plainSegment(); !ok {
				return
			}
		}
		before, reach, n := image(t, section)
		after, reached, fewer := image(t, merged)
		if reach != reached || fewer > n || !bytes.Equal(before, after) {
			t.Errorf("%x has become %x", section, merged)
		}
	})
}

// What it is for.
func TestMergeGo(t *testing.T) {
	binary := guests.Build(t, "github.com/sluice-edge/sluice/examples/auth")
	count := func(binary []byte) (n int) {
		r := reader{b: binary, p: 8}
		for r.p < len(binary) {
			id, body := r.byte(), r.bytes(r.u32())
			if id == secData {
				_, _, n = image(t, body)
			}
		}
		return n
	}
	_, bounded, err := bound(slices.Clone(binary), 1<<17)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := count(binary), count(bounded); before < 10_000 || after > before/50 {
		t.Errorf("%d segments have become %d", before, after)
	} else {
		t.Logf("%d segments have become %d, %d bytes %d", before, after, len(binary), len(bounded))
	}
}
