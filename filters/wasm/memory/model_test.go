package memory

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// model runs a sequence of operations on a memory and on a plain slice of bytes, and
// compares.
type model struct {
	t      testing.TB
	g      *guest
	images []*Image
	have   [][]byte // by the images
	image  int
	want   []byte // what the runtime's memory should be
	ops    []byte // the sequence; each operation takes some
}

const (
	modelLimit = 12 * PageSize
	modelMax   = 13 // pages; one more than the limit, for Publish
)

// modelContent is what the images have, of different lengths and zeros.
func modelContent() [][]byte {
	return [][]byte{
		pattern(3 * PageSize),
		make([]byte, PageSize),
		bytes.Repeat([]byte{0xa5}, 8*PageSize),
		nil,
		pattern(modelLimit),
	}
}

func newModel(t testing.TB, s *System, ops []byte) *model {
	m := &model{t: t, g: newGuest(t, s, modelLimit, modelMax), have: modelContent(), ops: ops}
	for _, c := range m.have {
		m.images = append(m.images, newImage(t, s, c))
	}
	m.g.use(t, m.images[0])
	m.virgin()
	return m
}

// virgin makes the model what the image is.
func (m *model) virgin() { m.want = append(m.want[:0], m.have[m.image]...) }

func (m *model) next(n int) int {
	var b [4]byte
	k := copy(b[:], m.ops)
	m.ops = m.ops[k:]
	return int(binary.LittleEndian.Uint32(b[:]) % uint32(n))
}

func (m *model) run() {
	for len(m.ops) > 0 {
		m.step()
	}
	m.g.same(m.t, m.want)
}

func (m *model) step() {
	op := m.ops[0] % 12
	m.ops = m.ops[1:]
	switch {
	case op < 5 && len(m.want) > 0: // write
		at := m.next(len(m.want))
		n := min(1+m.next(3*4096), len(m.want)-at)
		noise := pattern(PageSize)[m.next(PageSize-n):]
		copy(m.g.b[at:at+n], noise)
		copy(m.want[at:at+n], noise)
	case op == 5: // grow
		delta := m.next(5)
		previous, ok := m.g.grow(uint32(delta))
		if want := len(m.want)+delta*PageSize <= modelLimit; ok != want {
			m.t.Fatalf("grow from %d by %d: got %v, want %v", len(m.want), delta*PageSize, ok, want)
		}
		if ok {
			if int(previous)*PageSize != len(m.want) {
				m.t.Fatalf("grow: got %d pages before, want %d bytes", previous, len(m.want))
			}
			m.want = append(m.want, make([]byte, delta*PageSize)...)
		}
	case op == 6: // trim
		if err := m.g.Trim(); err != nil {
			m.t.Fatal(err)
		}
		m.publish()
	case op == 7: // another image
		m.image = m.next(len(m.images))
		if err := m.g.Use(m.images[m.image]); err != nil {
			m.t.Fatal(err)
		}
		m.publish()
	case op == 8: // read, without a look at the result
		m.g.same(m.t, m.want)
	case op == 9: // write all
		for at := 0; at < len(m.want); at += 64 {
			m.g.b[at], m.want[at] = byte(at>>8)+7, byte(at>>8)+7
		}
	default:
		if _, err := m.g.Reset(); err != nil {
			m.t.Fatal(err)
		}
		m.publish()
	}
}

func (m *model) publish() {
	if !m.g.Publish(m.g.grow) {
		m.t.Fatal("the runtime did not take the length")
	}
	m.virgin()
	m.g.same(m.t, m.want)
	if !m.g.sys.mapped || m.g.sys.method == Compare {
		return
	}
	// What is private is what the kernel says, which no test can know better but for
	// its bounds.
	if got := m.g.Private(); got < 0 || got > int64(len(m.want)) {
		m.t.Fatalf("%d bytes are private of %d", got, len(m.want))
	}
}

func TestModel(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 1))
			ops := make([]byte, 1000)
			for i := range ops {
				ops[i] = byte(r.Uint32())
			}
			newModel(t, s, ops).run()
		}
	})
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 5, 3, 0, 0, 0, 9, 10, 7, 2, 0, 0, 0, 9, 6})
	f.Add([]byte{7, 3, 0, 0, 0, 5, 1, 0, 0, 0, 9, 10, 7, 4, 0, 0, 0, 9, 7, 1, 0, 0, 0, 5, 4, 0, 0, 0, 8})
	f.Add([]byte{9, 10, 9, 7, 2, 0, 0, 0, 9, 10, 10, 10, 10, 10, 10, 8})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 4096 {
			t.Skip("too long")
		}
		for _, c := range configs {
			s, err := Open(c.Config)
			if err != nil {
				continue
			}
			m := newModel(t, s, ops)
			m.run()
			m.g.Free()
			for _, im := range m.images {
				im.Close()
			}
			s.Close()
		}
	})
}
