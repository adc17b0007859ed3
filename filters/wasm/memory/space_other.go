//go:build !unix

package memory

// reserve takes n bytes from the heap, which takes pages from the system when they
// are used.
func reserve(n int) ([]byte, error) { return make([]byte, n), nil }

func commit([]byte) error { return nil }

func remap(b []byte) error {
	clear(b)
	return nil
}

func protect([]byte) error { return nil }

func release([]byte) error { return nil }

func discard(b []byte) error { return remap(b) }
