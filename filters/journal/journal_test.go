package journal

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func texts(lines []Line) string {
	var list []string
	for _, l := range lines {
		list = append(list, l.Text)
	}
	return strings.Join(list, "|")
}

var quiet = slog.New(slog.DiscardHandler)

func TestKept(t *testing.T) {
	f := func(cfg Config, n int, want string) {
		t.Helper()
		j := New(quiet, cfg)
		for i := range n {
			j.Say("says", Line{Text: fmt.Sprintf("line %d", i)})
		}
		if got := texts(j.Lines()); got != want {
			t.Errorf("kept are %q, want %q", got, want)
		}
	}
	f(Config{}, 2, "line 0|line 1")
	f(Config{Lines: 3}, 10, "line 7|line 8|line 9")
	f(Config{Bytes: 12}, 10, "line 8|line 9") // 6 bytes each
	f(Config{Line: 4}, 1, "line...")

	j := New(quiet, Config{})
	for i := range 1001 {
		j.Say("says", Line{Text: fmt.Sprint(i)})
	}
	if l := j.Lines(); len(l) != 1000 || l[0].Text != "1" || l[999].Text != "1000" {
		t.Errorf("%d lines are kept by default", len(l))
	}
	long := strings.Repeat("x", 4000)
	for range 100 {
		j.Say("says", Line{Text: long})
	}
	if l := j.Lines(); len(l) != (256<<10)/4000 {
		t.Errorf("%d lines of 4000 bytes are kept by default", len(l))
	}
}

func TestQuote(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := Quote(s); got != want {
			t.Errorf("%q is quoted as %q, want %q", s, got, want)
		}
	}
	f("plain, \ttabbed, \"quoted\", süß, 漢", "plain, \ttabbed, \"quoted\", süß, 漢")
	f("a\x1b[31mred", `a\x1b[31mred`)
	f("a\nb\rc\x00", `a\nb\rc\x00`)
	f("bad \xff utf-8, \u009b31m, \u202e", `bad \xff utf-8, \u009b31m, \u202e`)
	f("the real \uFFFD", "the real \uFFFD")
	f(`a\n`, `a\n`)
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	j := New(slog.New(slog.NewTextHandler(&out, nil)).With("function", "hello"), Config{Line: 10})
	w := Writer{Journal: j, Message: "function says", Version: 3, ID: "id-1", Limit: 60}
	for _, p := range []string{"one\ntw", "o\r\n\n\nth", "re", "e\n", "twelve bytes\n", "no end"} {
		w.Write([]byte(p))
	}
	w.Flush()
	w.Flush()
	if got, want := texts(j.Lines()), "one|two|three|twelve byt...|no end"; got != want {
		t.Errorf("kept are %q, want %q", got, want)
	}
	for range 100 {
		w.Write([]byte(strings.Repeat("more\n", 100)))
	}
	w.Flush()
	if got, want := texts(j.Lines()[5:]), "more|more|more|more|more|... (the r..."; got != want {
		t.Errorf("kept are %q, want %q", got, want)
	}
	if l := j.Lines()[0]; l.Version != 3 || l.ID != "id-1" || l.Level != slog.LevelInfo || time.Since(l.Time) > time.Minute {
		t.Errorf("line is %+v", l)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); !strings.Contains(first, `level=INFO msg="function says" function=hello version=3 text=one id=id-1`) {
		t.Errorf("logged is %s", first)
	}
}

func TestFollow(t *testing.T) {
	j := New(quiet, Config{Followers: 2})
	j.Say("says", Line{Text: "before"})
	kept, next, stop, ok := j.Follow()
	if !ok || texts(kept) != "before" {
		t.Fatalf("kept are %v, %v", kept, ok)
	}
	_, _, stop2, _ := j.Follow()
	if _, _, _, ok := j.Follow(); ok {
		t.Error("there are more followers than allowed")
	}
	stop2()
	stop2()
	_, _, stop3, ok := j.Follow()
	if !ok {
		t.Error("a follower that has left counts")
	}
	stop3()

	// Nobody takes them: the guest goes on, and what is missed is counted.
	for i := range 300 {
		j.Say("says", Line{Text: fmt.Sprint(i)})
	}
	for i := range 256 {
		if l := <-next; l.Text != fmt.Sprint(i) || l.Missed != 0 {
			t.Fatalf("line %d is %+v", i, l)
		}
	}
	j.Say("says", Line{Text: "after"})
	if l := <-next; l.Text != "after" || l.Missed != 44 {
		t.Errorf("line is %+v", l)
	}
	stop()
	j.Say("says", Line{Text: "late"})
	if l, open := <-next; open {
		t.Errorf("after the end: %+v", l)
	}
}

func TestRate(t *testing.T) {
	l := NewLimiter(quiet, 2)
	now := time.Now()
	f := func(after time.Duration, ok bool, dropped int) {
		t.Helper()
		if o, d := l.admit(now.Add(after)); o != ok || d != dropped {
			t.Errorf("after %v: %v, %d", after, o, d)
		}
	}
	f(0, true, 0)
	f(time.Millisecond, true, 0)
	f(2*time.Millisecond, false, 0)
	f(3*time.Millisecond, false, 0)
	f(time.Second, true, 2)
	f(time.Second, true, 0)
	f(time.Second, false, 0)
}

// What is hidden is neither kept nor logged, whoever was told of it when.
func TestHide(t *testing.T) {
	var logged bytes.Buffer
	j := New(slog.New(slog.NewTextHandler(&logged, nil)), Config{Line: 40})
	f := func(text, want string) {
		t.Helper()
		logged.Reset()
		j.Say("says", Line{Text: text})
		lines := j.Lines()
		if got := lines[len(lines)-1].Text; got != want {
			t.Errorf("%q is kept as %q, want %q", text, got, want)
		}
		if !strings.Contains(logged.String(), strings.Trim(want, "=")) || strings.Contains(logged.String(), "hunter") {
			t.Errorf("%q is logged as %s", text, &logged)
		}
	}
	j.Hide(nil)
	f("nothing is hidden", "nothing is hidden")
	j.Hide([]string{"hunter2", "hunter2-long", "abc", ""})
	f("=hunter2=hunter2-long=hunter2", "=[redacted]=[redacted]=[redacted]")
	f("abc", "abc") // too short
	f(strings.Repeat("x", 30)+"hunter2-long", strings.Repeat("x", 30)+"[redacted]")
	j.Hide([]string{"-----BEGIN KEY-----\nhunter/key\n", "hunter3"})
	f("a line hunter/key of one", "a line [redacted] of one")
	f("hunter2 hunter3", "[redacted] [redacted]")

	many := make([]string, 2*maxHidden)
	for i := range many {
		many[i] = fmt.Sprintf("secret-%d-", i)
	}
	j.Hide(many)
	if len(j.hidden) != maxHidden {
		t.Errorf("%d are hidden", len(j.hidden))
	}
	f(many[len(many)-1], "[redacted]")
}

// Ready says what Log would do.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})), 2)
		check := func(level slog.Level, want bool) {
			t.Helper()
			if got := l.Ready(level); got != want {
				t.Errorf("ready for %v: %v", level, got)
			}
		}
		check(slog.LevelWarn, true)
		check(slog.LevelInfo, false) // nobody wants it
		l.Log(slog.LevelWarn, "one")
		check(slog.LevelError, true)
		l.Log(slog.LevelWarn, "two")
		check(slog.LevelError, false)
		time.Sleep(time.Second)
		check(slog.LevelError, true)
	})
}
