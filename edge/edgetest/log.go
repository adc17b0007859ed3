package edgetest

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// Log keeps what is written to it, and lets a test wait for it.
type Log struct {
	mu   sync.Mutex // guards the following fields
	all  bytes.Buffer
	more chan struct{} // closed at the next Write; nil: nobody waits
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.all.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Wait waits until what was written matches re.
func (l *Log) Wait(re *regexp.Regexp) error { return l.wait(re, Patience) }

func (l *Log) wait(re *regexp.Regexp, longest time.Duration) error {
	patience := time.NewTimer(longest)
	defer patience.Stop()
	for {
		l.mu.Lock()
		found := re.Match(l.all.Bytes())
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-more:
		case <-patience.C:
			return fmt.Errorf("%q is not logged; got:\n%s", re, l)
		}
	}
}
