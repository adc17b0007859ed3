package rewrite

// callGraph finds which functions may be called while they run, so that there is
// no bound to the stack that they take: those on a cycle of the graph of calls. It
// returns the most bytes of stack that the others can take together.
//
// A node is a function, or a type: call_indirect calls the node of its type, and
// that all functions of this type to which there are references. Calls of the
// host are no edges: what it calls back has a stack of its own.
func (m *module) callGraph() int64 {
	g := graph{m: m, byType: make([][]uint32, len(m.types))}
	for i := range m.funcs {
		if f := &m.funcs[i]; f.taken {
			t := m.types[f.typ].same
			g.byType[t] = append(g.byType[t], uint32(i))
		}
	}
	n := len(m.funcs) + len(m.types)
	g.nodes = make([]node, n)
	deepest := int64(0)
	for v := range m.funcs {
		if g.nodes[v].index == 0 {
			g.visit(uint32(v))
		}
		deepest = max(deepest, g.nodes[v].depth)
	}
	return deepest
}

// graph is what Tarjan's algorithm for strongly connected components needs.
type graph struct {
	m      *module
	byType [][]uint32 // functions
	nodes  []node
	path   []uint32 // instead of recursion: the nodes whose edges are followed
	stack  []uint32 // nodes of no component yet
	count  uint32
}

type node struct {
	index, low uint32 // index 0: not seen yet
	edge       uint32 // which is to be followed next
	onStack    bool
	loop       bool  // has an edge to itself
	depth      int64 // bytes that calls take from here, but for counted functions
}

func (g *graph) edges(v uint32) []uint32 {
	funcs := g.m.funcs
	switch {
	case int(v) >= len(funcs):
		return g.byType[int(v)-len(funcs)]
	case int(v) < g.m.imported:
		return nil
	case int(v) == g.m.imported:
		return g.m.calls[:funcs[v].calls]
	}
	return g.m.calls[funcs[v-1].calls:funcs[v].calls]
}

func (g *graph) enter(v uint32) {
	g.count++
	g.nodes[v] = node{index: g.count, low: g.count, onStack: true}
	g.path = append(g.path, v)
	g.stack = append(g.stack, v)
}

// visit finds the components that can be reached from v.
func (g *graph) visit(v uint32) {
	g.enter(v)
	for len(g.path) > 0 {
		v := g.path[len(g.path)-1]
		n := &g.nodes[v]
		if e := g.edges(v); int(n.edge) < len(e) {
			w := e[n.edge]
			n.edge++
			switch to := &g.nodes[w]; {
			case w == v:
				n.loop = true
			case to.index == 0:
				g.enter(w)
			case to.onStack:
				n.low = min(n.low, to.index)
			default:
				n.depth = max(n.depth, to.depth)
			}
			continue
		}
		g.path = g.path[:len(g.path)-1]
		if n.low == n.index {
			g.component(v)
		}
		if len(g.path) > 0 {
			parent := &g.nodes[g.path[len(g.path)-1]]
			parent.low = min(parent.low, n.low)
			if !n.onStack {
				parent.depth = max(parent.depth, n.depth)
			}
		}
	}
}

// component takes a component off the stack, of which v is the last node.
func (g *graph) component(v uint32) {
	at := len(g.stack) - 1
	deepest := g.nodes[g.stack[at]].depth
	for ; g.stack[at] != v; at-- {
		deepest = max(deepest, g.nodes[g.stack[at-1]].depth)
	}
	members := g.stack[at:]
	g.stack = g.stack[:at]
	cycle := len(members) > 1 || g.nodes[v].loop
	for _, w := range members {
		n := &g.nodes[w]
		n.onStack = false
		n.depth = deepest
		if int(w) < len(g.m.funcs) {
			f := &g.m.funcs[w]
			f.counted = cycle
			if !cycle {
				n.depth += f.frame
			}
		}
	}
}
