package wasm

import "slices"

// Warmings is how often [Options.Warm] is called. What a guest makes at its first use
// may make something else at its second.
const Warmings = 2

// warm has the first instance used, and makes the image of what it is afterwards.
// If that cannot be, the image stays as it is.
func (p *Pool) warm(in *Instance) error {
	drew := in.box.drew // while it was initialised
	in.box.drew = false
	in.limit = p.opt.Limits.Start
	for range Warmings {
		if err := p.opt.Warm(in); err != nil || in.failed {
			return nil
		}
	}
	if in.box.drew {
		return nil
	}
	in.box.drew = drew
	image, why, err := in.box.freeze()
	if err != nil || why != "" {
		return err
	}
	old := p.image.Load()
	if slices.ContainsFunc(old.generators, func(at uint32) bool { return !slices.Contains(image.generators, at) }) {
		// A generator is not to be found any more.
		image.release()
		return in.box.memory.Use(old.memory)
	}
	in.box.image = image
	p.image.Store(image)
	old.release()
	return nil
}
