package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// modelled is what a name is to be, kept as simply as can be.
type modelled struct {
	current  int
	past     []int
	last     int
	versions []int
	module   map[int]string
	file     string
	retreat  bool
}

func (m *modelled) clone() *modelled {
	c := *m
	c.past, c.versions = slices.Clone(m.past), slices.Clone(m.versions)
	c.module = make(map[int]string)
	for n, text := range m.module {
		c.module[n] = text
	}
	return &c
}

func (m *modelled) use(n int) {
	if m.retreat = false; m.current != n {
		if m.current != 0 {
			m.past = append(m.past, m.current)
		}
		m.current = n
	}
	m.tidy()
}

// tidy leaves only versions that there are in the past, and no step that is none.
func (m *modelled) tidy() {
	var past []int
	for _, n := range m.past {
		if slices.Contains(m.versions, n) && (len(past) == 0 || past[len(past)-1] != n) {
			past = append(past, n)
		}
	}
	for len(past) > 0 && past[len(past)-1] == m.current {
		past = past[:len(past)-1]
	}
	m.past = past
}

// add gives a module a number, unless it has one.
func (m *modelled) add(module string, current bool, keep int, held []int) int {
	number := 0
	for n, text := range m.module {
		if text == module {
			number = n
		}
	}
	if number == 0 {
		m.last++
		number = m.last
		m.versions = append(m.versions, number)
		m.module[number] = module
	}
	if current {
		m.use(number)
	}
	for i := 0; len(m.versions) > keep && i < len(m.versions); {
		if n := m.versions[i]; n == m.current || n == number || slices.Contains(held, n) {
			i++
			continue
		}
		delete(m.module, m.versions[i])
		m.versions = slices.Delete(m.versions, i, i+1)
	}
	m.tidy()
	return number
}

// TestModel does what can be done with a store at random, beside a model of it, and opens
// it anew now and then.
func TestModel(t *testing.T) {
	const keep = 4
	names := []string{"a", "b", "c"}
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		s := open(t, dir, Config{Keep: keep})
		model, held := make(map[string]*modelled), make(map[string][]int)
		var trace []string
		for range 150 {
			name, module := names[random.IntN(len(names))], fmt.Sprint("module ", random.IntN(8))
			m := model[name]
			var did string
			switch op := random.IntN(12); {
			case op < 3 || op == 3 && m == nil: // upload
				if m == nil {
					m = &modelled{module: make(map[int]string)}
					model[name] = m
				}
				number := m.add(module, true, keep, held[name])
				v, _ := put(t, s, name, module)
				if did = fmt.Sprintf("put %s %q: %d", name, module, v.Number); v.Number != number {
					t.Fatalf("seed %d: %s, want %d\n%s", seed, did, number, strings.Join(trace, "\n"))
				}
			case op == 3, op == 4: // store, and take back or not
				before := m
				if m == nil {
					m = &modelled{module: make(map[int]string)}
				}
				m = m.clone()
				m.add(module, false, keep, held[name])
				up := receive(t, s, name, module)
				_, _, err := up.Store(API)
				did = fmt.Sprintf("store %s %q", name, module)
				if random.IntN(3) == 0 {
					err = errors.Join(err, up.Undo())
					did += ", undo"
					m = before
				}
				if err = errors.Join(err, up.Close()); err != nil {
					t.Fatalf("seed %d: %s: %v", seed, did, err)
				}
				if model[name] = m; m == nil {
					delete(model, name)
				}
			case op == 5: // the file
				if m == nil {
					m = &modelled{module: make(map[int]string)}
					model[name] = m
				}
				if m.file != module {
					m.add(module, true, keep, held[name])
					m.file = module
				}
				_, _, err := s.Seed(name, []byte(module), nil)
				if did = fmt.Sprintf("seed %s %q", name, module); err != nil {
					t.Fatalf("seed %d: %s: %v", seed, did, err)
				}
			case op == 6, op == 7: // use, or a retreat
				number := 1 + random.IntN(8)
				var err error
				if op == 6 {
					_, _, err = s.Use(name, number)
				} else {
					_, _, err = s.Retreat(name, number, Retreat{Reason: "test"})
				}
				did = fmt.Sprintf("use %s %d: %v", name, number, err)
				if has := m != nil && slices.Contains(m.versions, number); has != (err == nil) {
					t.Fatalf("seed %d: %s\n%s", seed, did, strings.Join(trace, "\n"))
				} else if has {
					m.use(number)
					m.retreat = op == 7
				}
			case op == 8:
				v, err := s.Back(name)
				did = fmt.Sprintf("back %s: %d, %v", name, v.Number, err)
				if can := m != nil && len(m.past) > 0; can != (err == nil) || can && v.Number != m.past[len(m.past)-1] {
					t.Fatalf("seed %d: %s\n%s", seed, did, strings.Join(trace, "\n"))
				} else if can {
					m.current, m.past, m.retreat = v.Number, m.past[:len(m.past)-1], false
					m.tidy()
				}
			case op == 9:
				held = map[string][]int{name: {1 + random.IntN(8)}}
				s.Hold(held)
				did = fmt.Sprint("hold ", held)
			case op == 10 && random.IntN(3) == 0:
				err := s.Remove(name)
				if did = fmt.Sprintf("remove %s: %v", name, err); (err == nil) != (m != nil) {
					t.Fatalf("seed %d: %s", seed, did)
				}
				delete(model, name)
			default:
				s = open(t, dir, Config{Keep: keep})
				s.Hold(held)
				did = "open"
			}
			trace = append(trace, did)
			if wrong := compareModel(t, s, dir, names, model); wrong != "" {
				t.Fatalf("seed %d: %s, after\n%s", seed, wrong, strings.Join(trace, "\n"))
			}
		}
	}
}

// compareModel looks at all that a store shows, and at what it has on disk, and says
// what is wrong.
func compareModel(t *testing.T, s *Store, dir string, names []string, model map[string]*modelled) string {
	modules := make(map[string]bool)
	for _, name := range names {
		m := model[name]
		all, err := s.Versions(name)
		if m == nil {
			if !errors.Is(err, ErrNotFound) {
				return fmt.Sprintf("%s has %v, %v, and is to have nothing", name, all, err)
			}
			continue
		}
		var have []int
		for _, v := range all {
			have = append(have, v.Number)
			b, err := s.Load(v.Digest)
			if err != nil || string(b) != m.module[v.Number] {
				return fmt.Sprintf("%s@%d is %q, %v; want %q", name, v.Number, b, err, m.module[v.Number])
			}
			modules[v.Digest] = true
		}
		if !slices.Equal(have, m.versions) {
			return fmt.Sprintf("%s has %v, want %v", name, have, m.versions)
		}
		if v, err := s.Current(name); err != nil || v.Number != m.current {
			return fmt.Sprintf("%s: current is %d, %v; want %d", name, v.Number, err, m.current)
		}
		if _, why := s.Since(name); (why != nil) != m.retreat {
			return fmt.Sprintf("%s: retreat is %v, want %v", name, why, m.retreat)
		}
		before, err := s.Before(name)
		if n := len(m.past); n == 0 && !errors.Is(err, ErrFirst) || n > 0 && before.Number != m.past[n-1] {
			return fmt.Sprintf("%s: before it was %d, %v; want %v", name, before.Number, err, m.past)
		}
	}
	if n := entries(t, dir, "modules"); n != len(modules) {
		return fmt.Sprintf("%d modules, want %d", n, len(modules))
	}
	if n := entries(t, dir, "tmp"); n != 0 {
		return fmt.Sprintf("%d temporary files", n)
	}
	return ""
}
