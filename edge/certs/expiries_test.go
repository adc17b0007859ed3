package certs

import (
	"crypto"
	"testing"
	"time"
)

func TestExpiries(t *testing.T) {
	a := newTestAuthority(t)
	load := func(key crypto.Signer, left time.Duration, names ...string) Pair {
		t.Helper()
		p, _, err := Load(file(t, "cert.pem", certPEMOf(a.sign(t, key, left, false, names...))), file(t, "key.pem", keyPEMOf(t, key)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	long, short := load(newKey(t), 48*time.Hour, "a.example", "b.example"), load(newRSAKey(t), time.Hour, "a.example")
	ends := NewSet([]Pair{long, short}, nil, []string{"a.example"}).Expiries()
	if len(ends) != 2 || !ends["a.example"].Equal(short.NotAfter()) || !ends["b.example"].Equal(long.NotAfter()) {
		t.Errorf("got %v; they are %v and %v", ends, long.NotAfter(), short.NotAfter())
	}
}
