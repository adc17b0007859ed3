// Stateful keeps what a program can keep from one request to the next, and answers
// with it. See README.md.
package main

import (
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
)

var (
	count  int
	seen   = map[string]int{}
	kept   [][]byte
	begun  = make(chan string, 100)
	never  = make(chan int)
	first  = rand.Uint64() // drawn before the first request
	shared = rand.New(rand.NewPCG(1, 2))
)

func init() {
	for range 10 { // wait when the first request comes
		go func() { begun <- fmt.Sprint(<-never) }()
	}
	for i := range 1000 {
		seen[fmt.Sprint("at first ", i)] = i
	}
	sdk.Handle(sdk.Filter{Request: request})
}

func main() {}

func request(x *sdk.Exchange) sdk.Verdict {
	count++
	uri := x.Request.URI()
	seen[uri]++
	kept = append(kept, make([]byte, 100))
	done := make(chan bool)
	go func() { time.Sleep(time.Microsecond); done <- true }()
	go func() { begun <- fmt.Sprint(<-never) }()
	<-done
	switch {
	case strings.HasPrefix(uri, "/grow"):
		kept = append(kept, make([]byte, 8<<20))
		for i := range kept[len(kept)-1] {
			kept[len(kept)-1][i] = 1
		}
	case strings.HasPrefix(uri, "/panic"):
		panic(uri)
	case strings.HasPrefix(uri, "/recover"):
		func() {
			defer func() { recover() }()
			var p *int
			*p = 1
		}()
	case strings.HasPrefix(uri, "/spin"):
		for {
			count++
		}
	}
	var b [8]byte
	crand.Read(b[:])
	x.Response.SetStatus(200)
	set := x.Response.Fields.Set
	set("X-State", fmt.Sprintf("%d %d %d %d %d", count, len(seen), seen[uri], len(kept), len(begun)))
	set("X-Random", fmt.Sprintf("%x %x", rand.Uint64(), b))
	set("X-Order", fmt.Sprint(rand.Perm(20)))
	set("X-First", fmt.Sprint(first))
	set("X-Own", fmt.Sprint(shared.Uint64()))
	return sdk.Stop
}
