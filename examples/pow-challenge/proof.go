package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// challenger makes the challenges of a client, and knows them again: nothing is kept.
type challenger struct {
	key     []byte
	host    string // that the client asks
	network string // where the client is
	bits    int
}

// network returns what of an address a challenge is bound to. A client with IPv6
// changes its address within its /64 as it likes.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}

// challenge returns the challenge of a minute, 64 hexadecimal digits. Without the key
// nobody can tell it before.
func (c *challenger) challenge(minute int64) string {
	h := hmac.New(sha256.New, c.key)
	for _, part := range []string{"sluice pow-challenge", strings.ToLower(c.host), c.network, strconv.Itoa(c.bits)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(minute)))
	return hex.EncodeToString(h.Sum(nil))
}

// maxNonce is how many digits a nonce may have.
const maxNonce = 16

// accepts reports whether a cookie, MINUTE.NONCE, is a proof of at most lifetime
// minutes before now.
func (c *challenger) accepts(cookie string, now, lifetime int64) bool {
	at, nonce, _ := strings.Cut(cookie, ".")
	minute, err := strconv.ParseInt(at, 10, 64)
	if err != nil || minute > now+1 || minute < now-lifetime || at[0] == '+' { // another sluice may be ahead by a minute
		return false
	}
	if nonce == "" || len(nonce) > maxNonce || strings.ContainsFunc(nonce, func(r rune) bool { return r < '0' || r > '9' }) {
		return false
	}
	return solves(c.challenge(minute), nonce, c.bits)
}

// solves reports whether the hash of challenge and nonce begins with n zero bits, at
// most 64.
func solves(challenge, nonce string, n int) bool {
	sum := sha256.Sum256([]byte(challenge + ":" + nonce))
	return bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:])) >= n
}
