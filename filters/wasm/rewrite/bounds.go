package rewrite

// The runtime allocates for as many items as a vector says that it has, before
// it reads one, and takes more time and memory for some things than they have
// bytes: 26 bytes can ask for more memory than the machine has, and end the
// process. So every count and size in a module is held against what is there and
// against these bounds, which are those of browsers (WebAssembly JavaScript
// Interface, section 9) or below.
const (
	maxTypes     = 100_000
	maxTypeItems = 1_000 // parameters, and results
	maxFuncs     = 1_000_000
	maxImports   = 10_000
	maxExports   = 100_000
	maxTables    = 1_000
	maxGlobals   = 100_000
	maxSegments  = 100_000   // of data, and of elements
	maxElements  = 1_000_000 // of all segments
	maxLabels    = 1_000_000 // of a br_table
	maxNesting   = 10_000    // blocks in each other

	// maxBody is the largest body of a function, in bytes. The compiler's time for
	// one function grows faster than its size.
	maxBody = 7_654_321

	// maxLocals bounds the variables of one function. All functions together may
	// have as many again as the module has bytes: the runtime allocates for each.
	maxLocals = 50_000

	// Blocks, branches and calls carry values, up to maxTypeItems with each in two
	// bytes. All of them may carry so many, and so many more for each byte of the
	// module.
	maxCarried     = 1 << 20
	carriedPerByte = 16
)
