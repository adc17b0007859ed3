// Command sluice is an edge proxy and the tool that steers it.
package main

import "os"

func main() {
	// quic-go would print by itself that the system allows no larger buffers.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Exit(execute(newRoot(), os.Args[1:]))
}
