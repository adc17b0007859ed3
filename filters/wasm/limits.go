package wasm

import (
	"math"
	"time"
)

// Limits bounds what the instances of a pool may use up.
type Limits struct {
	Memory    int64         // bytes that one instance's memory may have; default 32 MiB
	InFlight  int64         // bytes of memory of all instances at once; beyond it Get waits; default 512 MiB
	Instances int64         // how many may be in use at once; beyond it Get waits; default: as many as InFlight has room for
	Wait      time.Duration // how long Get waits; default: Call
	Start     time.Duration // of running time until an instance is initialised; default 10 s
	Call      time.Duration // of running time of a call; default 50 ms
	Idle      time.Duration // after which instances that were not needed are given back; default 10 s
}

func (l *Limits) setDefaults() {
	if l.Memory == 0 {
		l.Memory = 32 << 20
	}
	if l.InFlight == 0 {
		l.InFlight = 512 << 20
	}
	if l.Start == 0 {
		l.Start = 10 * time.Second
	}
	if l.Call == 0 {
		l.Call = 50 * time.Millisecond
	}
	if l.Instances == 0 {
		l.Instances = math.MaxInt64
	}
	if l.Wait == 0 {
		l.Wait = l.Call
	}
	if l.Idle == 0 {
		l.Idle = 10 * time.Second
	}
}

// Options is what the instances of a pool are given.
type Options struct {
	Limits Limits
	Args   []string // of a command; the first is its name
	Env    []string // NAME=value

	// State is what host functions find in [Instance.State] while the instance runs
	// whose memory the others begin with.
	State any

	// Shared says that guests keep their state from one use to the next. A few
	// instances serve all, each one use at a time, and stay until they fail: as many as
	// there are processors stay when they are not needed.
	Shared bool

	// Prepare, if set, is called with each instance that is made from the module, once
	// it is initialised: with the first, before its memory becomes what others begin
	// with. Its time is Limits.Start, for each of its calls.
	Prepare func(in *Instance) error

	// Warm, if set, uses the first instance as requests do, once its memory has been
	// kept, so that what guests make at their first use is part of what the others begin
	// with. It is called [Warmings] times. State is the instance's at first, and nothing
	// that it does may leave the guest. If it fails, or the guest draws random numbers
	// meanwhile, which all requests would share, the others begin with what there was
	// before. It is of no use with Shared.
	Warm func(in *Instance) error

	// Output takes what guests write to standard output and standard error. It
	// keeps nothing of p. nil: it is thrown away.
	Output func(in *Instance, p []byte)

	// Errors takes standard error instead, likewise. nil: Output does.
	Errors func(in *Instance, p []byte)

	// Sleep is told that a guest is about to sleep, as a host function of its; it may
	// panic as those do. nil: nobody is told.
	Sleep func(in *Instance)

	// Command, if set, says that the module is a command, which [Instance.Run]
	// runs, and what it is connected to instead of Output.
	Command *Command
}

// Command is what commands are connected to. The functions find in the instance's
// State whom it serves, run while the guest waits for them, and may panic as host
// functions do. All of them are set.
type Command struct {
	Environ func(in *Instance) *Environ      // its environment, with what of Options.Env it is to have; called at most once
	Input   func(in *Instance, p []byte) int // reads standard input, at least a byte; 0 at its end
	Output  func(in *Instance, p []byte)     // takes standard output; keeps nothing of p when it has returned
	Errors  func(in *Instance, p []byte)     // takes standard error, likewise
}
