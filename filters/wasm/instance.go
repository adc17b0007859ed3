package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Instance is one sandbox: a module's memory, globals and tables. It is used by
// one goroutine at a time, and is lost after its first failure.
type Instance struct {
	State any // for host functions

	pool   *Pool
	mod    api.Module
	memory memory
	base   context.Context // carries the memory's allocator
	env    *Environ        // nil until the guest asks for it
	failed bool

	limit time.Duration // running time of a call
	left  time.Duration // running time left to this call
	since time.Time     // when it began to run again
	took  time.Duration // running time of all calls
	timer *time.Timer
	over  atomic.Int32  // 0, or 1 + the cause of why nothing may run any more
	done  chan struct{} // closed when over
}

// init makes the instance and runs what initialises it.
func (in *Instance) init() error {
	in.done = make(chan struct{})
	in.base = experimental.WithMemoryAllocator(context.Background(),
		experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return &in.memory }))
	out := output{in}
	config := in.pool.config.WithStdout(out)
	if in.pool.opt.Command != nil {
		config = config.WithStderr(errorOutput{in}).WithStdin(input{in})
	} else {
		config = config.WithStderr(out)
	}

	in.resume(in.limit)
	mod, err := in.instantiate(config)
	in.pause()
	if err != nil {
		return in.fail("start", err)
	}
	in.mod = mod
	if in.pool.start == "" {
		return in.check("start")
	}
	err = in.call(in.pool.start, in.left, nil)
	if f, ok := errors.AsType[*Failure](err); ok && f.Cause == Exited && f.code == 0 {
		in.failed = false // a command that has ended well
		return nil
	}
	return err
}

// instantiate makes the module's memory, globals and tables, and runs its start
// function.
func (in *Instance) instantiate(config wazero.ModuleConfig) (mod api.Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("runtime failed: %v", r)
		}
	}()
	return in.pool.module.runtime.InstantiateModule(in, in.pool.module.compiled, config)
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
	fn := in.mod.ExportedFunction(export)
	if fn == nil {
		return in.fail("call "+export, Trap("is not exported"))
	}
	in.resume(limit)
	err := fn.CallWithStack(in, stack)
	in.pause()
	if err != nil {
		return in.fail("call "+export, err)
	}
	return in.check("call " + export)
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

// Stop ends the guest, from any goroutine: what it runs fails as soon as it comes
// to its next call, loop, or function of its host.
func (in *Instance) Stop() { in.end(Stopped) }

// check fails a call that has ended just when its time was over: the runtime has
// closed the instance, or is about to.
func (in *Instance) check(op string) error {
	if in.over.Load() == 0 {
		return nil
	}
	in.failed = true
	return in.ended(op)
}

// ended is the failure of a call that was not let run to its end.
func (in *Instance) ended(op string) *Failure {
	f := &Failure{Cause: Cause(in.over.Load() - 1), Op: op}
	if f.Cause == TimedOut {
		f.Err = fmt.Errorf("not done within %v", in.limit)
	}
	return f
}

func (in *Instance) fail(op string, err error) error {
	in.failed = true
	return in.failure(op, err)
}

// resume lets the time of a call run, of which left is left.
func (in *Instance) resume(left time.Duration) {
	in.left, in.since = left, time.Now()
	if in.timer == nil {
		in.timer = time.AfterFunc(left, in.expire)
	} else {
		in.timer.Reset(left)
	}
}

// pause stops the time of a call.
func (in *Instance) pause() {
	in.timer.Stop()
	ran := time.Since(in.since)
	in.took += ran
	in.left -= ran
}

func (in *Instance) expire() { in.end(TimedOut) }

// end ends what runs: the instance is the context of its calls.
func (in *Instance) end(c Cause) {
	if in.over.CompareAndSwap(0, 1+int32(c)) {
		close(in.done)
	}
}

// Wait runs f, which waits for somebody else than the guest: its time is not the
// guest's. For host functions.
func (in *Instance) Wait(f func()) {
	in.pause()
	defer func() { in.resume(max(in.left, 0)) }()
	f()
}

// sleep lets a guest sleep while its time runs.
func (in *Instance) sleep(ns int64) {
	if ns <= 0 {
		return
	}
	if about := in.pool.opt.Sleep; about != nil {
		about(in)
	}
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-in.done:
		in.mustRun()
	}
}

// mustRun ends a guest that may not run any more.
func (in *Instance) mustRun() {
	if err := in.Err(); err != nil {
		panic(err) // failure says why
	}
}

// Took returns for how long the guest has run.
func (in *Instance) Took() time.Duration { return in.took }

// Failed reports whether a call has failed: then only Close is left.
func (in *Instance) Failed() bool { return in.failed }

// Read returns n bytes of the guest's memory, which are valid until the guest
// runs again. For host functions; it traps beyond the memory's end.
func (in *Instance) Read(ptr, n uint32) []byte {
	b := in.memory.b
	if uint64(ptr)+uint64(n) > uint64(len(b)) {
		panic(Trap("%d bytes at %d are beyond the end of memory at %d", n, ptr, len(b)))
	}
	return b[ptr : ptr+n : ptr+n]
}

// String returns a copy of n bytes of the guest's memory, like Read.
func (in *Instance) String(ptr, n uint32) string { return string(in.Read(ptr, n)) }

// Bytes returns how much memory the guest has.
func (in *Instance) Bytes() int64 { return int64(len(in.memory.b)) }

// Close ends the instance.
func (in *Instance) Close() {
	if in.timer != nil {
		in.timer.Stop()
	}
	if in.mod != nil {
		in.mod.Close(context.Background())
		in.mod = nil
	}
	in.pool.learn(max(in.Bytes(), in.pool.module.Info.Memory))
	in.memory.release()
	in.pool.slots.give(1)
	in.pool.leave()
}

// Deadline implements context.Context. The time of a call can be paused, so
// there is none.
func (in *Instance) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (in *Instance) Done() <-chan struct{} { return in.done }

// Err implements context.Context.
func (in *Instance) Err() error {
	switch in.over.Load() {
	case 0:
		return nil
	case 1 + int32(TimedOut):
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Value implements context.Context.
func (in *Instance) Value(key any) any { return in.base.Value(key) }
