// Command sluice is an edge proxy and the tool that steers it.
package main

import "os"

func main() {
	os.Exit(execute(newRoot(), os.Args[1:]))
}
