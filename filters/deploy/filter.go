package deploy

import "github.com/sluice-edge/sluice/edge"

// Filter is a deployment as a filter.
type Filter struct {
	plan     *Plan
	versions []edge.Filter // as those of the plan
	shadow   *Shadow       // nil: none
}

// NewFilter returns a filter that is one of two versions, as p decides. The shadow may
// be nil.
func NewFilter(p *Plan, versions []edge.Filter, shadow *Shadow) *Filter {
	return &Filter{p, versions, shadow}
}

// Filter implements edge.Filter.
func (f *Filter) Filter(x *edge.Exchange, next edge.Handler) error {
	i := f.plan.Pick(x)
	f.plan.Watch(x, i)
	if f.shadow != nil {
		if c := f.shadow.begin(x, f.plan.versions[i].Number, ""); c != nil {
			c.next = next
			return c.served(x, f.versions[i].Filter(x, c))
		}
	}
	return f.versions[i].Filter(x, next)
}

// Server answers exchanges as a function whose path is script.
type Server interface {
	ServeAt(x *edge.Exchange, script string) error
}

// Function is a deployment as a function.
type Function struct {
	plan     *Plan
	versions []Server
	shadow   *Shadow
}

// NewFunction returns a function that is one of two versions, as p decides. The shadow
// may be nil.
func NewFunction(p *Plan, versions []Server, shadow *Shadow) *Function {
	return &Function{p, versions, shadow}
}

// ServeAt implements Server.
func (f *Function) ServeAt(x *edge.Exchange, script string) error {
	i := f.plan.Pick(x)
	f.plan.Watch(x, i)
	if f.shadow != nil {
		if c := f.shadow.begin(x, f.plan.versions[i].Number, script); c != nil {
			return c.served(x, f.versions[i].ServeAt(x, script))
		}
	}
	return f.versions[i].ServeAt(x, script)
}
