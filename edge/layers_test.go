package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluice-edge/sluice/"

// layers says which layer a package is in. A package imports lower layers only,
// never its own. An entry that ends in "/..." stands for all packages below.
var layers = map[string]int{
	"edge":           0,
	"edge/admin/api": 0,
	"edge/edgetest":  0,
	"sdk/...":        0,
	"wasm-testdata":  0,

	"edge/bufpool":         1,
	"edge/diag":            1,
	"edge/osfile":          1,
	"edge/metrics":         1,
	"edge/schedule":        1,
	"filters/wasm/memory":  1,
	"filters/wasm/rewrite": 1,

	"edge/balance":     2,
	"edge/certs":       2,
	"edge/kv":          2,
	"edge/listen":      2,
	"edge/redact":      2,
	"edge/rollout":     2,
	"filters/journal":  2,
	"filters/registry": 2,
	"filters/wasm":     2,

	"edge/accesslog": 3,
	"edge/cache":     3,
	"edge/capture":   3,
	"edge/compress":  3,
	"edge/grpc":      3,
	"edge/http1":     3,
	"edge/http2":     3,
	"edge/http3":     3,
	"edge/route":     3,
	"edge/split":     3,
	"edge/upstream":  3,

	"filters/hostmod": 3,
	"filters/stream":  3,

	"edge/asked":        4,
	"filters/deploy":    4,
	"filters/httpwasm":  4,
	"filters/proxywasm": 4,
	"filters/wasi":      4,

	"filters":          5,
	"filters/function": 5,

	"edge/config":              6,
	"filters/trial":            6,
	"edge/server":              7,
	"cmd/sluice/internal/text": 7,

	"cmd/sluice/internal/...": 8,
	"edge/admin":              8,

	"cmd/sluice": 9,

	// Guests and what shows how to use the rest; nothing imports them.
	"examples/...":      10,
	"filters/outside":   10,
	"sdk/examples/...":  10,
	"wasm-testdata/...": 10,
}

// alone is what imports nothing of the module, but that the packages of the sdk share what
// is below sdk/internal.
var alone = []string{"edge", "edge/admin/api", "edge/edgetest", "sdk/...", "wasm-testdata"}

// forTests is what only tests import.
var forTests = []string{"edge/edgetest", "wasm-testdata"}

// guests run in a sandbox, or are but tests of a whole sluice: of the module they import
// the sdk only.
var guests = []string{"examples/...", "filters/outside", "sdk/examples/...", "wasm-testdata/..."}

// door says which packages may import a heavy dependency, and which besides may
// in their tests.
type door struct {
	dependency string // a package, or with "/..." all below it too
	packages   []string
	tests      []string
}

var doors = []door{
	{"github.com/andybalholm/brotli/...", []string{"edge/compress"}, []string{"edge/server"}},
	{"github.com/fsnotify/fsnotify/...", []string{"edge/server"}, nil},
	{"github.com/goccy/go-yaml/...", []string{"edge/config"}, nil},
	{"github.com/hashicorp/golang-lru/v2/...", []string{"edge/cache"}, nil},
	{"github.com/klauspost/compress/...", []string{"edge/compress"}, []string{"edge/server"}},
	{"github.com/prometheus/...", []string{"edge/metrics"}, nil},
	{"github.com/quic-go/qpack/...", []string{"edge/http3"}, nil},
	{"github.com/quic-go/quic-go/...", []string{"edge/http3", "cmd/sluice/internal/fetch"}, []string{"edge/server"}},
	{"github.com/santhosh-tekuri/jsonschema/v6/...", nil, []string{"edge/config"}},
	{"github.com/spf13/cobra/...", []string{"cmd/sluice"}, nil},
	{"github.com/spf13/pflag/...", []string{"cmd/sluice"}, nil},
	{"github.com/tetratelabs/wazero", []string{"filters/wasm"}, []string{"filters/wasm/memory", "filters/wasm/rewrite"}},
	{"github.com/tetratelabs/wazero/api", []string{"filters/wasm", "filters/httpwasm"}, []string{"filters/wasm/rewrite"}},
	{"github.com/tetratelabs/wazero/...", []string{"filters/wasm"}, []string{"filters/wasm/memory", "filters/wasm/rewrite"}},
	{"github.com/yuin/goldmark/...", []string{"examples/markdown"}, nil},
	{"go.etcd.io/bbolt/...", []string{"edge/kv"}, nil},
	{"golang.org/x/net/http2/...", []string{"edge/http2"}, nil},
	{"golang.org/x/sys/...", []string{"edge/cache", "edge/http1", "edge/listen", "filters/wasm/memory"}, []string{"filters/wasm"}},
	{"golang.org/x/term", []string{"cmd/sluice"}, nil},
	{"golang.org/x/text/width", []string{"cmd/sluice/internal/text"}, nil},
	{"golang.org/x/tools/txtar", []string{"edge/edgetest"}, []string{"edge/config"}},

	// Our engines move the traffic: net/http is for the control plane, for filters
	// that run as middleware of a Go program, for the calls of gRPC that guests make,
	// and for tests. Its names of methods and
	// statuses are for everybody, see namesOnly.
	{"net/http/...", []string{"edge/admin", "edge/admin/api", "edge/edgetest", "edge/grpc", "edge/http3", "edge/metrics", "cmd/sluice/...", "sdk/..."}, []string{"..."}},
}

// matches reports whether path is the pattern, or below it.
func matches(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == below || strings.HasPrefix(path, below+"/")
	}
	return path == pattern
}

func oneMatches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// layerOf returns the layer of a package by its longest entry.
func layerOf(path string) (layer int, ok bool) {
	longest := -1
	for pattern, l := range layers {
		if matches(pattern, path) && len(pattern) > longest {
			longest, layer, ok = len(pattern), l, true
		}
	}
	return layer, ok
}

// doorOf returns the first of the doors that path needs, or nil.
func doorOf(path string) *door {
	for i := range doors {
		if matches(doors[i].dependency, path) {
			return &doors[i]
		}
	}
	return nil
}

// problem returns what is wrong with an import, or "".
func problem(from, path string, test bool) string {
	if to, ours := strings.CutPrefix(path, module); ours {
		layer, _ := layerOf(from)
		below, ok := layerOf(to)
		switch {
		case to == from: // an external test
			return ""
		case oneMatches(forTests, to):
			if !test {
				return "is for tests only"
			}
		case !ok:
			return "is in no layer"
		case test && oneMatches(guests, from):
			return "" // they test what they show, from the outside
		case matches("sdk/internal/...", to) && matches("sdk/...", from) && !matches("sdk/internal/...", from) && !oneMatches(guests, from):
			return ""
		case oneMatches(alone, from) && !oneMatches(guests, from):
			return "is of the module, of which it imports nothing"
		case oneMatches(guests, from) && !matches("sdk/...", to):
			return "is not the sdk, all that a guest may import of the module"
		case below >= layer:
			return "is not in a lower layer"
		}
		return ""
	}
	d := doorOf(path)
	switch {
	case d == nil:
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
			return "is a dependency that has no door"
		}
	case !oneMatches(d.packages, from) && !(test && (oneMatches(d.tests, from) || oneMatches(guests, from))):
		return "has its doors elsewhere: " + strings.Join(append(slices.Clone(d.packages), d.tests...), ", ")
	}
	return ""
}

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		if _, ok := layerOf(p.path); !ok {
			t.Errorf("package %s is in no layer: add it to the table of this test", p.path)
			continue
		}
		for _, path := range p.imports {
			if path == "net/http" && p.namesOnly(t) {
				continue
			}
			if what := problem(p.path, path, false); what != "" {
				t.Errorf("%s imports %s, which %s", p.path, path, what)
			}
		}
		for _, path := range p.testImports {
			if what := problem(p.path, path, true); what != "" {
				t.Errorf("a test of %s imports %s, which %s", p.path, path, what)
			}
		}
	}
}

// The table says only what is there.
func TestLayersAreInUse(t *testing.T) {
	all := packages(t)
	for pattern := range layers {
		if strings.HasSuffix(pattern, "/...") {
			continue // guests build for another system, and need not be seen
		}
		if !slices.ContainsFunc(all, func(p goPackage) bool { return p.path == pattern }) {
			t.Errorf("the table of layers has %s, which is no package", pattern)
		}
	}
}

// The rules themselves: what they must find, and what they must let pass.
func TestLayerRules(t *testing.T) {
	f := func(from, path string, test bool, want string) {
		t.Helper()
		if got := problem(from, path, test); got != want {
			t.Errorf("%s imports %s (test: %v): got %q, want %q", from, path, test, got, want)
		}
	}
	const code, test = false, true
	f("edge/http1", module+"edge", code, "")
	f("edge/http1", "net/netip", code, "")
	f("edge/http1", module+"edge/http2", code, "is not in a lower layer") // its own layer
	f("edge/http1", module+"edge/server", code, "is not in a lower layer")
	f("edge/http1", module+"edge/http2", test, "is not in a lower layer")
	f("edge/http1", module+"edge/nowhere", code, "is in no layer")
	f("edge/http1", module+"edge/edgetest", code, "is for tests only")
	f("edge/http1", module+"edge/edgetest", test, "")
	f("edge/http1", module+"edge/http1", test, "") // package http1_test
	f("edge/admin/api", module+"edge", code, "is of the module, of which it imports nothing")
	f("sdk", module+"edge", code, "is of the module, of which it imports nothing")
	f("sdk/proxy", module+"sdk/internal/pieces", code, "")
	f("sdk/proxy", module+"sdk", code, "is of the module, of which it imports nothing")
	f("sdk/internal/pieces", module+"sdk/internal/other", code, "is of the module, of which it imports nothing")
	f("examples/auth", module+"sdk", code, "")
	f("examples/auth", module+"edge/http1", code, "is not the sdk, all that a guest may import of the module")
	f("examples/auth", module+"edge/server", test, "")
	f("filters/httpwasm", "github.com/tetratelabs/wazero/api", code, "")
	f("filters/httpwasm", "github.com/tetratelabs/wazero", code, "has its doors elsewhere: filters/wasm, filters/wasm/memory, filters/wasm/rewrite")
	f("edge/http1", "net/http", code, "has its doors elsewhere: edge/admin, edge/admin/api, edge/edgetest, edge/grpc, edge/http3, edge/metrics, cmd/sluice/..., sdk/..., ...")
	f("edge/http1", "net/http/httptest", test, "")
	f("edge/config", "github.com/santhosh-tekuri/jsonschema/v6", test, "")
	f("edge/config", "github.com/santhosh-tekuri/jsonschema/v6", code, "has its doors elsewhere: edge/config")
	f("edge/http1", "github.com/stretchr/testify/assert", test, "is a dependency that has no door")
}

type goPackage struct {
	path                 string // without the module
	dir                  string
	files                []string // but for tests
	imports, testImports []string
}

// isName matches what of net/http moves nothing: constants, and an error's type.
var isName = regexp.MustCompile(`^(Status.*|Method.*|TimeFormat|MaxBytesError)$`)

// namesOnly reports whether all that p uses of net/http is names.
func (p *goPackage) namesOnly(t *testing.T) bool {
	t.Helper()
	only := true
	for _, name := range p.files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		as := ""
		for _, i := range file.Imports {
			if i.Path.Value == `"net/http"` {
				as = "http"
				if i.Name != nil {
					as = i.Name.Name
				}
			}
		}
		if as == "" {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == as {
					only = only && isName.MatchString(s.Sel.Name)
				}
			}
			return true
		})
		only = only && as != "." && as != "_"
	}
	return only
}

// The rule about names, on two packages that use more of net/http and less.
func TestNamesOnly(t *testing.T) {
	for _, p := range packages(t) {
		switch p.path {
		case "edge":
			if !p.namesOnly(t) {
				t.Error("edge uses more of net/http than its names")
			}
		case "edge/admin/api":
			if p.namesOnly(t) {
				t.Error("edge/admin/api has an HTTP client, and seems to use but names of net/http")
			}
		}
	}
}

// packages lists the module's packages as the go command sees them.
func packages(t *testing.T) []goPackage {
	t.Helper()
	// The go command runs a test anew when a directory that it has read changes;
	// of what another process reads it knows nothing.
	err := filepath.WalkDir("..", func(_ string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,TestImports,XTestImports", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir                                       string
			GoFiles, CgoFiles, Imports, TestImports, XTestImports []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, goPackage{strings.TrimPrefix(p.ImportPath, module), p.Dir, slices.Concat(p.GoFiles, p.CgoFiles), p.Imports, slices.Concat(p.TestImports, p.XTestImports)})
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}
