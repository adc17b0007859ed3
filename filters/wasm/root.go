package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// Reenter calls an export while the guest waits for a host function, which calls
// Reenter: for the memory that the host wants of the guest. The time of the call that
// goes on is that of this one too, as are its stack and its slice. It panics as host
// functions do if the guest fails, and so ends both. What Read has returned is not
// valid any more.
func (in *Instance) Reenter(export string, stack []uint64) {
	b := in.box
	if b.within {
		panic(Trap("the host is called for what needs %q while that runs", export))
	}
	fn := b.inside(export)
	if fn == nil {
		panic(Trap("%q is not exported", export))
	}
	b.within = true
	err := fn.CallWithStack(in, stack)
	b.within = false
	if err != nil {
		panic(err)
	}
	in.mustRun()
}

// inside returns what is exported as name, or nil: for Reenter, since what runs
// already cannot be called.
func (b *sandbox) inside(name string) api.Function {
	for i := range b.inner {
		if b.inner[i].name == name {
			return b.inner[i].fn
		}
	}
	fn := b.mod.ExportedFunction(name)
	if fn != nil {
		b.inner = append(b.inner, function{name, fn})
	}
	return fn
}

// Lead makes those that are to be used begin as this instance is now. Those in use
// stay as they are; what they began with goes with the last of them. It is for who
// keeps an instance, between its calls. The error says why the others go on beginning
// with what there was.
func (in *Instance) Lead() error {
	if in.failed {
		panic("BUG: a failed instance leads")
	}
	p, b := in.pool, in.box
	if b.image == nil {
		return fmt.Errorf("each instance is made anew: %s", strings.Join(p.fresh, "; "))
	}
	old := b.image
	b.drew = b.drew || old.generators != nil
	next, why, err := b.freeze()
	if err != nil {
		return err
	}
	if why != "" {
		return errors.New(why)
	}
	if slices.ContainsFunc(old.generators, func(at uint32) bool { return !slices.Contains(next.generators, at) }) {
		next.release() // the instance goes on with it
		return errors.New("a generator of random numbers is not to be found any more, and all would have the same")
	}
	b.image = next
	p.image.Swap(next).release()
	return nil
}

// follow makes a sandbox that nobody uses begin with the newest image.
func (b *sandbox) follow() error {
	for {
		im := b.pool.image.Load()
		if im == b.image {
			return nil
		}
		if b.memory != nil {
			if err := b.memory.Use(im.memory); err != nil {
				if b.pool.image.Load() != im {
					continue // it was closed just now, since there is another
				}
				return err
			}
			if !b.memory.Publish(b.lengthen) {
				return errors.New("memory cannot get the length that it is to begin with")
			}
		}
		b.image = im
		im.restoreGlobals(b)
		return nil
	}
}
