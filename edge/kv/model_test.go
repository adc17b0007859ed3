package kv

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// model is what a store is to be, without limits and time.
type model map[string]Entry // by namespace, a slash and key

// step does what two bytes say to a store and to the model, and reports where they
// differ.
func (m model) step(t *testing.T, s *Store, what, how byte) {
	t.Helper()
	namespace, key := string('m'+what>>2&1), strings.Repeat(string('a'+what>>3&3), int(1+what>>5&3))
	have, there := m[namespace+"/"+key]
	version := []int64{Any, Absent, have.Version, have.Version + 1}[how&3]
	var wanted error
	if version != Any && version != have.Version {
		wanted = ErrConflict
	}
	switch what & 3 {
	case 0, 1:
		value := strconv.Itoa(int(how))
		if how >= 0xf0 {
			value = strings.Repeat("long", int(how))
		}
		v, err := s.Set(namespace, key, []byte(value), 0, version)
		if !errors.Is(err, wanted) {
			t.Fatalf("set %s/%s, %d: got %v, want %v", namespace, key, version, err, wanted)
		}
		if err == nil {
			m[namespace+"/"+key] = Entry{Value: []byte(value), Version: v}
		}
	case 2:
		if wanted == nil && !there {
			wanted = ErrNone
		}
		if err := s.Delete(namespace, key, version); !errors.Is(err, wanted) {
			t.Fatalf("delete %s/%s, %d: got %v, want %v", namespace, key, version, err, wanted)
		} else if err == nil {
			delete(m, namespace+"/"+key)
		}
	case 3:
		n, numErr := strconv.ParseInt(string(have.Value), 10, 64)
		sum, err := s.Add(namespace, key, int64(how), 0)
		if there && numErr != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("add to %q: got %v", have.Value, err)
			}
			return
		}
		if err != nil || sum != n+int64(how) {
			t.Fatalf("add %d to %q: got %d, %v", how, have.Value, sum, err)
		}
		e, err := s.Get(namespace, key)
		if err != nil {
			t.Fatal(err)
		}
		m[namespace+"/"+key] = Entry{Value: strconv.AppendInt(nil, sum, 10), Version: e.Version}
	}
}

// same reports where a store differs from the model.
func (m model) same(t *testing.T, s *Store) {
	t.Helper()
	var got []string
	bytes := int64(0)
	for _, namespace := range []string{"m", "n"} {
		err := s.List(namespace, "", "", func(k []byte, e Entry) bool {
			name := namespace + "/" + string(k)
			got = append(got, name)
			bytes += bytesOf(string(k), e.Value)
			if want := m[name]; string(e.Value) != string(want.Value) || e.Version != want.Version {
				t.Errorf("%s: got %q, %d, want %q, %d", name, e.Value, e.Version, want.Value, want.Version)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("got keys %q, want %q", got, want)
	}
	usage, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range usage {
		bytes -= u.Bytes
		if u.Keys == 0 {
			t.Errorf("%s has no key and is there", u.Namespace)
		}
	}
	if bytes != 0 {
		t.Errorf("usage is wrong by %d bytes: %v", bytes, usage)
	}
}

func TestModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	path := file(t)
	s := open(t, path, Config{})
	m := make(model)
	for n := range 300 {
		m.step(t, s, byte(r.Uint32()), byte(r.Uint32()))
		if n%100 == 99 {
			m.same(t, s)
			s.Close()
			s = open(t, path, Config{})
			m.same(t, s)
		}
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

func FuzzStore(f *testing.F) {
	f.Add([]byte("\x00\x00\x02\x02\x03\xff\x00\xff\x03\x01"))
	f.Add([]byte("\x21\x01\x05\x00\x41\xf7\x22\x00"))
	path := file(f)
	s := open(f, path, Config{})
	f.Fuzz(func(t *testing.T, steps []byte) {
		m := make(model)
		for len(steps) > 1 && len(m) < 16 {
			m.step(t, s, steps[0], steps[1])
			steps = steps[2:]
		}
		m.same(t, s)
		for name := range m {
			namespace, key, _ := strings.Cut(name, "/")
			if err := s.Delete(namespace, key, Any); err != nil {
				t.Fatal(err)
			}
		}
	})
}
