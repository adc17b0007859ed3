//go:build unix && !linux

package http1

import "golang.org/x/sys/unix"

// gone reports whether the peer of a socket has left. Without POLLRDHUP it is
// seen only when everything that the peer has sent has been read, and a half that
// is closed only if that counts as having left.
func gone(fd uintptr, half bool) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil && !half || err != nil && err != unix.EAGAIN && err != unix.EINTR
}

// readable reports whether a read of fd would return at once.
func readable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p[:], 0)
	return err == nil && n > 0
}

// acknowledged is not known here: a write that waits for long has stalled.
func acknowledged(uintptr) uint64 { return 0 }
