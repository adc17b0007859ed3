package wasm

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
)

// Instance is one use of a sandbox. It is used by one goroutine at a time, but for
// Stop. After its first failure only Close is left, and nothing is after that, unless
// Keep has been called: the value is used again.
type Instance struct {
	State any // for host functions

	pool   *Pool
	box    *sandbox
	env    *Environ // nil until the guest asks for it
	failed bool
	kept   bool // see Keep

	limit    time.Duration // running time of a call
	left     time.Duration // running time left to this call
	together bool          // see Together
	since    time.Duration // when it began to run again, by now
	took     time.Duration // running time of all calls
	over     atomic.Int32  // 0, or 1 + the cause of why nothing may run any more
	mu       sync.Mutex    // guards the following field
	done     chan struct{} // closed when over; nil until somebody waits for that
}

// start runs what initialises a sandbox that was made from the module.
func (in *Instance) start() error {
	p := in.pool
	if err := p.module.written.WriteData(in.bytes()); err != nil {
		return in.fail("start", err)
	}
	left := in.limit
	if p.module.written.Start {
		if err := in.call(rewrite.StartExport, left, nil); err != nil {
			return err
		}
		left = in.left
	}
	if p.start == "" {
		return nil
	}
	err := in.call(p.start, left, nil)
	if f, ok := errors.AsType[*Failure](err); ok && f.Cause == Exited && f.code == 0 {
		in.failed = false // a command that has ended well
		in.box.unwind()
		return nil
	}
	return err
}

// Call calls an export, with params at the head of stack, where the results are
// left. The error is a [*Failure], or what a host function has aborted with.
func (in *Instance) Call(export string, stack []uint64) error {
	if in.failed {
		panic("BUG: a failed instance is called")
	}
	return in.call(export, in.limit, stack)
}

func (in *Instance) call(export string, limit time.Duration, stack []uint64) error {
	fn := in.box.export(export)
	if fn == nil {
		return in.fail("call "+export, Trap("is not exported"))
	}
	if in.over.Load() != 0 { // it may come to no tick
		in.failed = true
		return in.ended("call " + export)
	}
	if !in.together {
		in.resume(limit)
	}
	err := fn.CallWithStack(in, stack)
	if !in.together || err != nil {
		in.pause()
	}
	if err != nil {
		return in.fail("call "+export, err)
	}
	if in.over.Load() != 0 { // just now
		in.failed = true
		return in.ended("call " + export)
	}
	return nil
}

// Run runs a command to its end. An exit with a code other than 0 is a failure.
// Afterwards only Close is left.
func (in *Instance) Run() error {
	err := in.Call("_start", nil)
	if f, ok := errors.AsType[*Failure](err); ok && f.Cause == Exited && f.code == 0 {
		return nil
	}
	return err
}

// ended is the failure of a call that was not let run to its end.
func (in *Instance) ended(op string) *Failure {
	f := &Failure{Cause: Cause(in.over.Load() - 1), Op: op, Took: in.took}
	if f.Cause == TimedOut {
		f.Err = fmt.Errorf("not done within %v", in.limit)
	}
	return f
}

func (in *Instance) fail(op string, err error) error {
	in.failed = true
	return in.failure(op, err)
}

// Failed reports whether a call has failed: then only Close is left.
func (in *Instance) Failed() bool { return in.failed }

// Read returns n bytes of the guest's memory, which are valid until the guest
// runs again. For host functions; it traps beyond the memory's end.
func (in *Instance) Read(ptr, n uint32) []byte {
	b := in.bytes()
	if uint64(ptr)+uint64(n) > uint64(len(b)) {
		panic(Trap("%d bytes at %d are beyond the end of memory at %d", n, ptr, len(b)))
	}
	return b[ptr : ptr+n : ptr+n]
}

// String returns a copy of n bytes of the guest's memory, like Read.
func (in *Instance) String(ptr, n uint32) string { return string(in.Read(ptr, n)) }

// Bytes returns how much memory the guest has.
func (in *Instance) Bytes() int64 { return int64(len(in.bytes())) }

func (in *Instance) bytes() []byte { return in.box.bytes() }

// Keep says that somebody will refer to the instance who does not know of its Close,
// for Stop, or as a context. Otherwise its value becomes that of another use.
func (in *Instance) Keep() { in.kept = true }

// Close gives the sandbox back.
func (in *Instance) Close() {
	box, failed := in.box, in.failed
	in.box, in.State = nil, nil
	if !in.kept && in.done == nil && in.over.Load() == 0 {
		box.spare = in
	}
	in.pool.back(box, failed)
}

// renew makes of an instance that was closed one that nobody has used.
func (in *Instance) renew(b *sandbox, state any) {
	in.State, in.box = state, b
	in.env, in.failed = nil, false
	in.limit, in.took = in.pool.opt.Limits.Call, 0
}
