package server

import (
	"context"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// kind is filters or functions: what changes of them differ in.
type kind struct {
	*library
	compile compile
	ready   ready
	look    func(name string) (api.Deployment, error)        // what runs
	find    func(file *config.File, name string) *configured // nil: the configuration does not have it
	unknown func(name string) *configured                    // one that no configuration has: with the defaults
	use     func(name string, use api.Use) edit              // puts it to use
	drop    func(name string) edit                           // takes back what the API has changed for its sake
	routes  func(file *config.File, name string) []string    // that it serves, as site/route
	pins    func(file *config.File, name string) []string    // of these, those that are pinned to one of its versions
	flag    string                                           // of the command that pushes it to a route
}

// configured is what a configuration says of a filter or function.
type configured struct {
	wasm      string // file of its module; "": it is uploaded
	deploy    *config.Deploy
	check     func(ctx context.Context, binary []byte) (m *wasm.Module, abi string, err error)
	bare      bool // it could have a configuration for its guest, and has none
	scheduled bool // it runs by itself, whatever routes there are
}

func (s *Server) ofFilters() *kind {
	configuredAs := func(c *config.Filter) *configured {
		return &configured{wasm: c.Wasm, deploy: &c.Deploy, bare: c.Config == nil,
			check: func(ctx context.Context, binary []byte) (*wasm.Module, string, error) {
				return s.checkFilter(ctx, binary, c, s.log)
			}}
	}
	return &kind{
		library: s.filters, compile: s.compileFilter, ready: s.readyFilter, look: s.FilterDeployment,
		find: func(file *config.File, name string) *configured {
			if c := file.Filter(name); c != nil {
				return configuredAs(c)
			}
			return nil
		},
		unknown: func(name string) *configured { return configuredAs(&config.Filter{Name: name}) },
		use:     s.useFilter, drop: s.dropFilter, routes: filterRoutes, pins: filterPins, flag: "--on",
	}
}

func (s *Server) ofFunctions() *kind {
	configuredAs := func(c *config.Function) *configured {
		return &configured{wasm: c.Wasm, deploy: &c.Deploy, scheduled: c.Every != 0,
			check: func(ctx context.Context, binary []byte) (*wasm.Module, string, error) {
				return s.checkFunction(ctx, binary, c, s.log)
			}}
	}
	return &kind{
		library: s.functions, compile: s.compileFunction, ready: s.readyFunction, look: s.FunctionDeployment,
		find: func(file *config.File, name string) *configured {
			if c := file.Function(name); c != nil {
				return configuredAs(c)
			}
			return nil
		},
		unknown: func(name string) *configured { return configuredAs(&config.Function{Name: name}) },
		use:     s.useFunction, drop: dropFunction, routes: functionRoutes, pins: functionPins, flag: "--route",
	}
}

// deploy returns what a configuration says of which versions run; nil: it does not have
// the module.
func (k *kind) deploy(file *config.File, name string) *config.Deploy {
	if c := k.find(file, name); c != nil {
		return c.deploy
	}
	return nil
}
