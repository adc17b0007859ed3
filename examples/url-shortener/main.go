// Url-shortener makes short links and follows them: a function on the key-value store.
// See README.md.
package main

import (
	"crypto/rand"
	"os"
	"time"

	"github.com/sluice-edge/sluice/sdk/function"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

func main() {
	s := &shortener{
		links:  proxy.Namespace("links"),
		secret: proxy.Secret,
		getenv: os.Getenv,
		now:    time.Now,
		code:   newCode,
		log:    func(text string) { os.Stderr.WriteString(text + "\n") },
	}
	function.Serve(s.serve)
}

// store is what the shortener needs of a namespace; its tests have another one.
type store interface {
	Get(key string) (value []byte, version int64, err error)
	Set(key string, value []byte, ttl time.Duration, version int64) (int64, error)
	Delete(key string, version int64) error
	Add(key string, delta int64, ttl time.Duration) (int64, error)
	List(prefix, after string) ([]string, error)
}

// shortener is the function, and what it has of the proxy.
type shortener struct {
	links  store
	secret func(name string) ([]byte, error)
	getenv func(name string) string
	now    func() time.Time
	code   func() string
	log    func(text string)
}

// Codes are random, so that nobody can try one after the other: of 62^7 = 3.5e12, with
// a million links, one guess in 3.5 million is right.
const (
	codeLength = 7
	alphabet   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newCode() string {
	code := make([]byte, 0, codeLength)
	var random [32]byte
	for {
		rand.Read(random[:])
		for _, b := range random {
			// 248 is a multiple of 62: each letter is as likely.
			if b < 248 {
				if code = append(code, alphabet[b%62]); len(code) == codeLength {
					return string(code)
				}
			}
		}
	}
}

// isCode reports whether s can be a code.
func isCode(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		return false
	}
	return len(s) == codeLength
}
