package listen

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	f := func(s, wantNetwork, wantAddress string) {
		t.Helper()
		network, address, err := Parse(s)
		if network != wantNetwork || address != wantAddress || (err == nil) != (wantNetwork != "") {
			t.Errorf("%q: got %q, %q, %v, want %q, %q", s, network, address, err, wantNetwork, wantAddress)
		}
	}
	f(":80", "tcp", ":80")
	f("127.0.0.1:8080", "tcp", "127.0.0.1:8080")
	f("[::1]:80", "tcp", "[::1]:80")
	f("localhost:http", "tcp", "localhost:http")
	f("unix:/run/sluice.sock", "unix", "/run/sluice.sock")
	f("unix:", "", "")
	f("80", "", "")
	f("example.org", "", "")
	f("example.org:", "", "")
	f("::1:80", "", "")
	f("", "", "")
}

func TestOpenTCP(t *testing.T) {
	l, err := Open("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := func(network, address string, cause error, want ...string) {
		t.Helper()
		var err error
		if network == "udp" {
			_, err = Packet(address)
		} else {
			_, err = Open(network, address)
		}
		if err == nil || !errors.Is(err, cause) {
			t.Errorf("%s %s: got %v, want %v", network, address, err, cause)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in %q", w, err)
			}
		}
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	f("tcp", l.Addr().String(), syscall.EADDRINUSE, "listen on tcp "+l.Addr().String()+": address already in use", "ss -ltnp 'sport = :"+port+"'")
	f("tcp", "192.0.2.1:0", syscall.EADDRNOTAVAIL, "no interface of this machine")
	u, err := Packet("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	f("udp", u.LocalAddr().String(), syscall.EADDRINUSE, "ss -lunp")
	if _, err := Open("tcp", "127.0.0.1:99999"); err == nil || !strings.Contains(err.Error(), "listen on tcp 127.0.0.1:99999") {
		t.Errorf("got %v", err)
	}
}

// Which hint goes with which cause, whoever runs the test.
func TestExplain(t *testing.T) {
	f := func(network, address string, cause error, want string) {
		t.Helper()
		err := explain(network, address, &net.OpError{Op: "listen", Net: network, Err: os.NewSyscallError("bind", cause)})
		if err.Error() != want || !errors.Is(err, cause) {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
	f("tcp", ":80", syscall.EACCES, "listen on tcp :80: permission denied: ports below 1024 need a privilege: run `setcap cap_net_bind_service=+ep` on the binary, set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or choose a port from 1024 on")
	f("unix", "/run/x", syscall.EACCES, "listen on unix:/run/x: permission denied: the directory must be writable for this user")
	f("tcp", ":80", syscall.EAFNOSUPPORT, "listen on tcp :80: address family not supported by protocol")
}

func TestPacketBuffers(t *testing.T) {
	plain, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	p, err := Packet("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	size := func(p net.PacketConn) (n int) {
		raw, err := p.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { n, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got, was := size(p), size(plain); got <= was {
		t.Errorf("receive buffer of %d bytes, and the default is %d", got, was)
	}
}

func TestUnix(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := Open("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody listens.
	if _, err := Open("unix", path); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("got %v", err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the socket in use was taken away: %v", err)
	} else {
		c.Close()
	}
	// A process that has gone leaves its socket behind.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	l, err = Open("unix", path)
	if err != nil {
		t.Fatalf("a socket left behind: %v", err)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close leaves the socket: %v", err)
	}
	// A file that is not a socket is not touched.
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("unix", path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if _, err := Open("unix", filepath.Join(dir, "no", "s")); err == nil || !strings.Contains(err.Error(), "the directory does not exist") {
		t.Errorf("got %v", err)
	}
	if _, err := Open("unix", filepath.Join(dir, strings.Repeat("long", 30))); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v", err)
	}
}
