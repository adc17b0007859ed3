package wasm

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// Cause is why a guest failed.
type Cause uint8

// The causes.
const (
	Trapped   Cause = iota // an instruction trapped: unreachable, out of bounds, stack overflow ...
	TimedOut               // its time was over
	Exited                 // it ended itself
	Misused                // it broke its ABI
	Exhausted              // the memory of all instances is in use
	Oversized              // the content was larger than what it may hold
	Closed                 // the pool is closed
	Stopped                // nobody wants its answer any more
	Causes                 // number of causes
)

func (c Cause) String() string {
	return [...]string{"trap", "timeout", "exit", "abi", "busy", "oversized", "closed", "stopped"}[c]
}

// Failure is the error of a guest that failed.
type Failure struct {
	Cause Cause
	Op    string        // what was being done: "call handle_request"
	Err   error         // may be nil
	Took  time.Duration // for how long the instance has run

	code uint32 // of an exit
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Op + ": " + f.Cause.String()
	}
	return fmt.Sprintf("%s: %s: %v", f.Op, f.Cause, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// Trap is what a host function panics with when the guest has broken the ABI.
func Trap(format string, args ...any) error { return Fail(Misused, fmt.Errorf(format, args...)) }

// Fail is what a host function panics with when the guest fails of some other
// cause.
func Fail(c Cause, err error) error { return verdict{c, err} }

type verdict struct {
	cause Cause
	error
}

// Abort is what a host function panics with when something other than the guest
// has failed. [Instance.Call] then returns err as it is.
func Abort(err error) error { return abort{err} }

type abort struct{ error }

// failure says why a call of op ended with err.
func (in *Instance) failure(op string, err error) error {
	if a, ok := errors.AsType[abort](err); ok {
		return a.error
	}
	if in.Err() != nil {
		return in.ended(op) // whatever came of it
	}
	f := &Failure{Cause: Trapped, Op: op, Err: errors.New(brief(err)), Took: in.took}
	if in.box.depth != nil && int64(in.box.depth.Get()) < 0 {
		f.Err = fmt.Errorf("stack overflow: calls are nested deeper than %d bytes of stack allow", in.box.stack)
	}
	if v, ok := errors.AsType[verdict](err); ok {
		f.Cause, f.Err = v.cause, v.error
	} else if e, ok := errors.AsType[*sys.ExitError](err); ok {
		f.Cause, f.Err, f.code = Exited, fmt.Errorf("exit code %d", e.ExitCode()), e.ExitCode()
	}
	return f
}

// maxReason bounds what of a trap's reason is kept, in bytes: the names in it
// are the guest's.
const maxReason = 1 << 10

// brief returns the runtime's message on one line, with its stack trace.
func brief(err error) string {
	s := strings.TrimPrefix(err.Error(), "wasm error: ")
	s = strings.ReplaceAll(s, "\n\t", " < ")
	s = strings.ReplaceAll(s, "\n", "; ")
	if len(s) > maxReason {
		s = s[:maxReason] + "..."
	}
	return s
}
