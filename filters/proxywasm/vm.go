package proxywasm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// vm is an instance, with the contexts that live in it.
type vm struct {
	f         *Filter
	users     int  // guarded by Filter.mu; of a shared one
	preparing bool // its root context is being made
	leads     bool // it is the root context's own

	mu       sync.Mutex // held while the guest runs; guards the following fields
	in       *wasm.Instance
	streams  map[uint32]*stream // nil if there is one at most
	only     *stream            // that one
	current  *stream            // whose context is in effect; nil: the root's
	home     *stream            // whose exchange's own goroutine runs; nil: nobody's
	answered *request           // whose response the guest is being told of
	heard    *news              // of a call of gRPC, likewise
	broken   error              // why it does not run any more
	args     args
	scratch  []byte // what is given to the guest
	stack    [5]uint64
	inner    [1]uint64

	logged int
	line   [2][]byte // of outputs and errs, which has no end yet
	said   string    // its first line while the filter is made
	use    hostmod.Use
}

func (f *Filter) newVM() *vm {
	v := &vm{preparing: true}
	v.begin(f)
	if f.cfg.Shared {
		v.streams = make(map[uint32]*stream)
	}
	return v
}

func (v *vm) begin(f *Filter) {
	v.f, v.args.v = f, v
	v.use.Guest = f.cfg.Host
}

// empty makes v as good as new, with its memory.
func (v *vm) empty() {
	*v = vm{scratch: emptied(v.scratch), line: [2][]byte{emptied(v.line[outputs]), emptied(v.line[errs])}}
}

// prepare makes and configures the root context.
func (v *vm) prepare(in *wasm.Instance) error {
	v.in = in
	v.preparing = true
	defer func() { v.preparing = false }()
	f := v.f
	if f.exports.has[onMain] {
		if _, err := v.enter(nil, onMain, 0, 0); err != nil {
			return err
		}
	}
	if _, err := v.enter(nil, onContextCreate, rootID, 0); err != nil {
		return err
	}
	for _, c := range [...]struct {
		callback
		size int
	}{{onVMStart, 0}, {onConfigure, len(f.cfg.Config)}} {
		if !f.exports.has[c.callback] {
			continue
		}
		ok, err := v.enter(nil, c.callback, rootID, uint64(c.size))
		if err != nil {
			return err
		}
		if uint32(ok) == 0 {
			return fmt.Errorf("%s refuses its configuration", callbackTypes[c.callback].name)
		}
	}
	return nil
}

// enter calls the guest in a context of its, if it has the callback. v.mu is held.
func (v *vm) enter(s *stream, c callback, params ...uint64) (result uint64, err error) {
	if !v.f.exports.has[c] {
		return 0, nil
	}
	if v.broken != nil {
		return 0, v.broken
	}
	clear(v.stack[:])
	copy(v.stack[:], params)
	v.serve(s)
	if c == onContextCreate || c == onRequestHeaders || c == onResponseHeaders {
		v.home = s
	}
	took := v.in.Took()
	err = v.in.Call(callbackTypes[c].name, v.stack[:])
	if s != nil {
		s.took += v.in.Took() - took
	}
	v.current, v.home = nil, nil
	if err != nil {
		v.broken = err
		return 0, err
	}
	return v.stack[0], nil
}

// together makes calls in a context's, whose time is known as a whole. v.mu is held.
func (v *vm) together(s *stream, calls func()) {
	took := v.in.Took()
	v.in.Together(calls)
	s.took += v.in.Took() - took
}

// serve puts a context in effect; nil is the root's.
func (v *vm) serve(s *stream) {
	v.current, v.use.Exchange, v.use.Passed = s, nil, false
	if s != nil {
		v.use.Exchange, v.use.Passed = s.x, s.settled[ofRequest]
	}
}

// join returns what an exchange's context is to live in.
func (f *Filter) join(s *stream) (*vm, error) {
	if !f.cfg.Shared {
		v := s.alone
		v.begin(f)
		in, err := f.pool.Get(v, s.waits)
		if err != nil {
			return nil, err
		}
		v.in = in
		return v, nil
	}
	return f.share()
}

var errClosed = &wasm.Failure{Cause: wasm.Closed, Op: "start"}

// share returns the one that all contexts live in. Who gets it calls leave.
func (f *Filter) share() (*vm, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errClosed
	}
	if v := f.vm; v != nil {
		v.users++
		return v, nil
	}
	v := f.newVM()
	in, err := f.pool.Get(v, nil)
	if err != nil {
		return nil, err
	}
	v.in, v.users, v.preparing, v.leads = in, 2, false, true // one is the filter's
	f.vm = v
	return v, nil
}

// leave gives up what join or share has returned.
func (f *Filter) leave(v *vm) {
	last := !f.cfg.Shared
	if f.cfg.Shared {
		v.mu.Lock()
		broken := v.broken != nil
		v.mu.Unlock()
		f.mu.Lock()
		if broken && f.vm == v {
			f.vm = nil
			v.users--
		}
		v.users--
		last = v.users == 0
		f.mu.Unlock()
	}
	if last {
		v.end()
	}
}

// end releases the instance.
func (v *vm) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.f.counters.Take(v.in.Took())
	v.use.End()
	v.in.Close()
	v.in, v.broken = nil, errClosed
	v.flush()
}

// find returns the context of an id, nil for the root's.
func (v *vm) find(id uint32) (s *stream, ok bool) {
	if id == rootID {
		return nil, true
	}
	if s = v.only; s != nil {
		return s, s.id == id
	}
	s, ok = v.streams[id]
	return s, ok
}

// add has a context live here. v.mu is held.
func (v *vm) add(s *stream) {
	if v.streams == nil {
		v.only = s
		return
	}
	v.streams[s.id] = s
}

// remove is the end of a context. The others are woken if there is nothing to wait for.
// v.mu is held.
func (v *vm) remove(s *stream) {
	v.only = nil
	delete(v.streams, s.id)
	if v.broken == nil {
		return
	}
	for _, other := range v.streams {
		other.signal()
	}
}

// serving returns the context that a function is about: the one in effect, or else the
// only one that there is.
func (v *vm) serving() *stream {
	if v.current == nil && !v.leads {
		return v.only
	}
	return v.current
}

// allocate returns n bytes of the guest's memory, of which it takes care.
func (v *vm) allocate(n int) (ptr uint32, p []byte, ok bool) {
	v.inner[0] = uint64(n)
	outer := v.args // which host functions that are called meanwhile have, too
	v.in.Reenter(v.f.exports.memory, v.inner[:])
	v.args = outer
	ptr = uint32(v.inner[0])
	if ptr == 0 || uint64(ptr)+uint64(n) > uint64(v.in.Bytes()) {
		return 0, nil, false
	}
	return ptr, v.in.Read(ptr, uint32(n)), true
}

// Host implements [hostmod.Party].
func (v *vm) Host() *hostmod.Use { return &v.use }

// Sleep implements [hostmod.Party].
func (v *vm) Sleep() {}

// levels are the ABI's log levels: trace, debug, info, warn, error, critical.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError}

// say logs a line, within what may be logged in an exchange; the root context's within
// what may be in a second.
func (v *vm) say(level slog.Level, line string) {
	f := v.f
	logged, id := &v.logged, ""
	if s := v.serving(); s != nil {
		logged, id = &s.logged, s.x.Record.ID
	} else if v.leads {
		*logged = 0
	}
	left := f.cfg.LogBytes - *logged
	if left <= 0 || line == "" {
		return
	}
	*logged += len(line)
	if len(line) > left {
		line = line[:left] + "..."
	}
	if v.preparing && v.said == "" {
		v.said = strings.Clone(line)
	}
	f.cfg.Journal.Say("filter says", journal.Line{Level: level, Version: f.cfg.Version, ID: id, Text: line})
}

// What a guest writes to.
const (
	outputs = iota // standard output
	errs           // standard error
)

// print takes what the guest writes, and logs it by lines.
func (v *vm) print(to int, p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		end := min(len(p), max(0, v.f.cfg.LogBytes-len(v.line[to])))
		if i >= 0 {
			end = min(end, i)
		}
		v.line[to] = append(v.line[to], p[:end]...)
		if i < 0 {
			return
		}
		v.log(to)
		p = p[i+1:]
	}
}

// log logs a line, at the level that the specification says.
func (v *vm) log(to int) {
	v.say([...]slog.Level{outputs: slog.LevelInfo, errs: slog.LevelError}[to], asText(v.line[to]))
	v.line[to] = v.line[to][:0]
}

// flush logs the last lines that have no end.
func (v *vm) flush() {
	v.log(outputs)
	v.log(errs)
}

// isClosed reports whether a failure is nobody's fault: the filter was closed.
func isClosed(err error) bool {
	w, ok := errors.AsType[*wasm.Failure](err)
	return ok && w.Cause == wasm.Closed
}
