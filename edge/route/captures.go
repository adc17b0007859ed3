package route

// MaxCaptures is how many parts of a path one pattern may capture.
const MaxCaptures = 8

// Captures is what a pattern captured of a path. The caller of Lookup owns it;
// the strings alias the path.
type Captures struct {
	names  []string
	values [MaxCaptures]string
}

// Get returns what {name} stands for; "1" names what a * matched.
func (c *Captures) Get(name string) (value string, ok bool) {
	for i, n := range c.names {
		if n == name {
			return c.values[i], true
		}
	}
	return "", false
}

// Len returns the number of captures.
func (c *Captures) Len() int { return len(c.names) }

// At returns the i-th capture, from the left.
func (c *Captures) At(i int) (name, value string) { return c.names[i], c.values[i] }

// Reset forgets what was captured, and with it the path.
func (c *Captures) Reset() { *c = Captures{} }
