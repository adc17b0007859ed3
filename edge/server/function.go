package server

import (
	"runtime"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	fn "github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/journal"
)

// function is a function by its name: whichever version of its module is current,
// or the one that it is pinned to. It ends as a filter does.
type function struct {
	name    string
	pin     int // version; 0: the current one
	config  *config.Function
	journal *journal.Journal // of all versions
	live    *slot[*fn.Function]
}

func newFunction(c *config.Function, pin int, j *journal.Journal) *function {
	f := &function{name: c.Name, pin: pin, config: c, journal: j, live: new(slot[*fn.Function])}
	runtime.AddCleanup(f, func(s *slot[*fn.Function]) { s.deploy(nil) }, f.live)
	return f
}

// serve answers x. Script is the part of the path that leads to the function.
func (f *function) serve(x *edge.Exchange, script string) error {
	d := f.live.acquire()
	if d == nil {
		return f.missing()
	}
	x.OnEnd(d) // the response's body may run it still
	return d.server.ServeAt(x, script)
}

// missing is the error of a function without a module.
func (f *function) missing() error {
	if d := f.live.damage.Load(); d != nil {
		return &edge.Error{Kind: edge.FunctionFailed, Op: "run the function " + f.name + ", of which the state directory is damaged", Err: d}
	}
	return &edge.Error{Kind: edge.FunctionFailed, Op: "run the function " + f.name + ", of which no module has been uploaded"}
}

// script returns what a function on a route is told of as the script (RFC 3875,
// section 4.1.13): the part of the path that its pattern gives.
func script(match string) string {
	for i := 0; i < len(match); i++ {
		if match[i] == '{' || match[i] == '*' {
			match = match[:i]
		}
	}
	return strings.TrimSuffix(match, "/")
}

func (s *Server) functionConfig(c *config.Function, number int, j *journal.Journal) fn.Config {
	cfg := fn.Config{Name: c.Name, Version: number, Args: c.Args, Memory: c.Memory, Timeout: c.Timeout, Concurrency: c.Concurrency,
		Host: s.granted(ofFunction, c.Name, &c.Allow), Log: s.log, Journal: j}
	for _, e := range c.Env {
		cfg.Env = append(cfg.Env, e.Name+"="+e.Value)
		if e.From != "" {
			cfg.Hide = append(cfg.Hide, e.Value)
		}
	}
	return cfg
}
