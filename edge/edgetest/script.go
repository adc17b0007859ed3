package edgetest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// script is a run of a script.
type script struct {
	t          testing.TB
	name       string // of the file
	dir        string
	proxy      Proxy
	origins    map[string]*origin
	raws       map[string]*rawClient
	replace    func(string) string // puts ports into a text
	background sync.WaitGroup

	mu         sync.Mutex // guards the following fields
	transports [4]http.RoundTripper
}

// startOrigins starts every origin that the script names, and gives each its
// rules, so that a rule holds from the beginning wherever it stands.
func (s *script) startOrigins(lines []line) error {
	for _, l := range lines {
		name := l.words[0].name
		if !strings.HasPrefix(name, "origin") {
			continue
		}
		if s.origins[name] == nil {
			o, err := newOrigin(s.t, name)
			if err != nil {
				return err
			}
			s.origins[name] = o
		}
		if before, steps, ok := arrow(l.words[1:]); ok {
			if err := s.origins[name].addRule(before, steps); err != nil {
				return fmt.Errorf("%d: %w", l.number, err)
			}
		}
	}
	return nil
}

// run executes the statements until one fails.
func (s *script) run(lines []line) {
	for _, l := range lines {
		if s.t.Failed() {
			break
		}
		if err := s.statement(l.words); err != nil {
			s.fail(l.number, l.text, err)
		}
	}
	s.background.Wait()
}

func (s *script) fail(number int, text string, err error) {
	s.t.Errorf("%s:%d: %s\n\t%s", s.name, number, text, strings.ReplaceAll(err.Error(), "\n", "\n\t"))
}

func (s *script) statement(words []word) error {
	verb, args := words[0].name, words[1:]
	switch {
	case words[len(words)-1].name == "&":
		words = words[:len(words)-1]
		if err := concurrent(words); err != nil {
			return err
		}
		s.background.Go(func() {
			if err := s.statement(words); err != nil {
				s.t.Errorf("%s: in the background: %v\n\t%v", s.name, texts(words), err)
			}
		})
		return nil
	case verb == "join":
		s.background.Wait()
		return nil
	case verb == "parallel", verb == "repeat":
		return s.times(verb == "parallel", args)
	case verb == "reload":
		return s.reload(args)
	case verb == "copy" && len(args) == 2:
		data, err := os.ReadFile(filepath.Join(s.dir, args[0].name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(s.dir, args[1].name), data, 0o644)
	case (verb == "wait" || verb == "no") && len(args) == 2 && args[0].name == "log" && args[1].re != nil:
		p, ok := s.proxy.(Logger)
		if !ok {
			return errors.New("the proxy of this test shows no log")
		}
		if verb == "wait" {
			return p.Log().Wait(args[1].re)
		}
		if line := args[1].re.FindString(p.Log().String()); line != "" {
			return fmt.Errorf("%q is logged", line)
		}
		return nil
	case strings.HasPrefix(verb, "origin"):
		if _, _, rule := arrow(args); rule {
			return nil // see startOrigins
		}
		return s.origins[verb].statement(args)
	case strings.HasPrefix(verb, "raw"):
		return s.rawStatement(verb, args)
	case strings.HasPrefix(verb, "client"):
		return s.clientStatement(verb, args)
	}
	return errors.New("no such statement")
}

// concurrent returns an error if a statement cannot run beside others.
func concurrent(words []word) error {
	for len(words) > 2 && (words[0].name == "parallel" || words[0].name == "repeat") {
		words = words[2:]
	}
	if len(words) == 0 || !strings.HasPrefix(words[0].name, "client") {
		return errors.New("only clients run beside others")
	}
	return nil
}

func texts(words []word) string {
	var all []string
	for i := range words {
		all = append(all, words[i].String())
	}
	return strings.Join(all, " ")
}

// times runs a statement as often as its first word says.
func (s *script) times(parallel bool, args []word) error {
	if len(args) < 2 {
		return errors.New("want a count and a statement")
	}
	n, err := strconv.Atoi(args[0].name)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a count", args[0].name)
	}
	if parallel {
		if err := concurrent(args[1:]); err != nil {
			return err
		}
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		if parallel {
			all.Go(func() { errs[i] = s.statement(args[1:]) })
		} else if errs[i] = s.statement(args[1:]); errs[i] != nil {
			break
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *script) reload(args []word) error {
	_, want, _ := arrow(args)
	err := s.proxy.Reload()
	switch {
	case len(want) == 0:
		return err
	case want[0].name != "fail":
		return fmt.Errorf("reload can only -> fail")
	case err == nil:
		return errors.New("got no error, want one")
	case want[0].set && !want[0].matches(err.Error()):
		return fmt.Errorf("got error %q, want %s", err.Error(), &want[0])
	}
	return nil
}

func (s *script) close() {
	for _, r := range s.raws {
		r.conn.Close()
	}
	s.closeClients()
	if s.proxy != nil {
		s.proxy.Close()
	}
	for _, o := range s.origins {
		o.close()
	}
}
