package wasm

import (
	"io"
	"time"
)

// output writes what a guest prints where the pool's owner wants it.
type output struct{ box *sandbox }

func (o output) Write(p []byte) (int, error) {
	in := o.box.user
	in.mustRun()
	switch opt := &in.pool.opt; {
	case opt.Command != nil:
		opt.Command.Output(in, p)
	case opt.Output != nil:
		opt.Output(in, p)
	}
	return len(p), nil
}

// errorOutput is output for standard error, of commands and of whom else it is not all one.
type errorOutput struct{ box *sandbox }

func (o errorOutput) Write(p []byte) (int, error) {
	in := o.box.user
	in.mustRun()
	if c := in.pool.opt.Command; c != nil {
		c.Errors(in, p)
	} else {
		in.pool.opt.Errors(in, p)
	}
	return len(p), nil
}

// input lets a command read.
type input struct{ box *sandbox }

func (i input) Read(p []byte) (int, error) {
	in := i.box.user
	in.mustRun()
	n := in.pool.opt.Command.Input(in, p)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// clockResolution is what clocks are rounded to, in nanoseconds: finer ones tell
// secrets of other requests by their timing.
const clockResolution = 1_000_000

var epoch = time.Now()

func walltime() (sec int64, nsec int32) {
	t := time.Now()
	return t.Unix(), int32(t.Nanosecond() / clockResolution * clockResolution)
}

func nanotime() int64 {
	return int64(time.Since(epoch)) / clockResolution * clockResolution
}
