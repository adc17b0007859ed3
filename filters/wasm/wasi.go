package wasm

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/tetratelabs/wazero/sys"
)

// wasiFuncs are the functions of WASI preview 1 that are our own instead of the
// runtime's.
var wasiFuncs = []HostFunc{
	// The runtime's proc_exit closes the module, which a command that ends well
	// (TinyGo, C) must survive, since its exports may be called afterwards.
	{Name: "proc_exit", Params: []ValueType{I32}, Call: procExit},

	// The runtime would make the environment anew for each instance, whether the
	// guest asks for it or not.
	{Name: "environ_sizes_get", Params: []ValueType{I32, I32}, Results: []ValueType{I32}, Call: environSizesGet},
	{Name: "environ_get", Params: []ValueType{I32, I32}, Results: []ValueType{I32}, Call: environGet},

	// The runtime's come from a source that does not know who asks.
	{Name: "random_get", Params: []ValueType{I32, I32}, Results: []ValueType{I32}, Call: randomGet},

	// What a guest does to its standard streams stays when it is reset.
	{Name: "fd_close", Params: []ValueType{I32}, Results: []ValueType{I32}, Call: standardAlone},
	{Name: "fd_renumber", Params: []ValueType{I32, I32}, Results: []ValueType{I32}, Call: standardAlone},
	{Name: "fd_fdstat_set_flags", Params: []ValueType{I32, I32}, Results: []ValueType{I32}, Call: standardAlone},

	// The runtime's knows no points in time, and takes as many subscriptions as
	// there is memory for.
	{Name: "poll_oneoff", Params: []ValueType{I32, I32, I32, I32}, Results: []ValueType{I32}, Call: pollOneoff},
}

// The error numbers of WASI that wasiFuncs return.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
)

func procExit(_ *Instance, stack []uint64) {
	panic(sys.NewExitError(uint32(stack[0])))
}

// standardAlone lets a guest believe that it has closed or changed one of its
// files: there are none but the standard streams.
func standardAlone(_ *Instance, stack []uint64) {
	if uint32(stack[0]) > 2 {
		stack[0] = errnoBadf
		return
	}
	stack[0] = errnoSuccess
}

// randomGet fills memory with random numbers. It may be asked for much, while the
// guest's time runs.
func randomGet(in *Instance, stack []uint64) {
	b := in.room(stack[0], int(uint32(stack[1])))
	if b == nil && uint32(stack[1]) > 0 {
		stack[0] = errnoFault
		return
	}
	all := b
	in.box.drew = true
	for len(b) > 0 {
		in.due()
		n, _ := rand.Read(b[:min(len(b), 1<<16)]) // never fails
		b = b[n:]
	}
	if box := in.box; box.image == nil && len(box.drawn) <= maxDrawn {
		box.drawn = append(box.drawn, all[:min(len(all), maxDrawn+1)]...)
	}
	stack[0] = errnoSuccess
}

func environSizesGet(in *Instance, stack []uint64) {
	e := in.environ()
	count, size := in.room(stack[0], 4), in.room(stack[1], 4)
	if count == nil || size == nil {
		stack[0] = errnoFault
		return
	}
	binary.LittleEndian.PutUint32(count, uint32(len(e.starts)))
	binary.LittleEndian.PutUint32(size, uint32(len(e.text)))
	stack[0] = errnoSuccess
}

func environGet(in *Instance, stack []uint64) {
	e := in.environ()
	pointers, text := in.room(stack[0], 4*len(e.starts)), in.room(stack[1], len(e.text))
	if pointers == nil || text == nil {
		stack[0] = errnoFault
		return
	}
	for i, start := range e.starts {
		binary.LittleEndian.PutUint32(pointers[4*i:], uint32(stack[1])+start)
	}
	copy(text, e.text)
	stack[0] = errnoSuccess
}

// room returns n bytes of the guest's memory, or nil if it does not have them.
func (in *Instance) room(ptr uint64, n int) []byte {
	b, start := in.bytes(), uint64(uint32(ptr))
	if start+uint64(n) > uint64(len(b)) {
		return nil
	}
	return b[start : start+uint64(n)]
}

// environ returns the guest's environment.
func (in *Instance) environ() *Environ {
	if in.env == nil {
		in.env = &in.pool.env
		if c := in.pool.opt.Command; c != nil && c.Environ != nil {
			in.env = c.Environ(in)
		}
	}
	return in.env
}

// Environ is a list of environment variables, laid out as guests are given them.
type Environ struct {
	text   []byte   // NAME=value, each ended by NUL
	starts []uint32 // of each in text
}

// Grow makes room for n more variables, of so many bytes together.
func (e *Environ) Grow(n, bytes int) {
	e.text, e.starts = slices.Grow(e.text, bytes), slices.Grow(e.starts, n)
}

// Add appends a variable. Neither name nor value has a NUL, and name no '='.
func (e *Environ) Add(name, value string) {
	e.starts = append(e.starts, uint32(len(e.text)))
	e.text = append(e.text, name...)
	e.text = append(e.text, '=')
	e.text = append(e.text, value...)
	e.text = append(e.text, 0)
}

// Extend appends to the value of the last variable.
func (e *Environ) Extend(sep, value string) {
	e.text = append(e.text[:len(e.text)-1], sep...)
	e.text = append(e.text, value...)
	e.text = append(e.text, 0)
}

// AddAll appends the variables of other.
func (e *Environ) AddAll(other *Environ) {
	shift := uint32(len(e.text))
	e.text = append(e.text, other.text...)
	for _, start := range other.starts {
		e.starts = append(e.starts, start+shift)
	}
}

// All returns the variables as NAME=value.
func (e *Environ) All() []string {
	list := make([]string, len(e.starts))
	for i, start := range e.starts {
		end := len(e.text)
		if i+1 < len(e.starts) {
			end = int(e.starts[i+1])
		}
		list[i] = string(e.text[start : end-1])
	}
	return list
}
