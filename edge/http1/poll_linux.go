package http1

import "golang.org/x/sys/unix"

// gone reports whether the peer of a socket has left: it has closed its sending
// side, or, if half is allowed, both. Unlike a peek at the data, poll sees that
// behind bytes that nobody has read.
func gone(fd uintptr, half bool) bool {
	events := int16(unix.POLLRDHUP)
	if half {
		events = 0
	}
	return ready(fd, events)
}

// readable reports whether a read of fd would return at once.
func readable(fd uintptr) bool { return ready(fd, unix.POLLIN|unix.POLLRDHUP) }

func ready(fd uintptr, events int16) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(p[:], 0)
	return err == nil && n > 0
}

// acknowledged returns how many bytes the peer has acknowledged, or of another
// kind of socket than TCP a number that changes when the peer reads.
func acknowledged(fd uintptr) uint64 {
	if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		return info.Bytes_acked
	}
	n, _ := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	return uint64(n)
}
