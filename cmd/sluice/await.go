package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// readWithin is how long a proxy may take to notice that its files have changed, and
// to read them.
const readWithin = 15 * time.Second

// askAgain is how long to wait before looking again whether it has.
const askAgain = 50 * time.Millisecond

// awaitRead waits until the proxy has read what was written. Refused is why it has
// not taken its files before that.
func awaitRead(ctx context.Context, c *api.Client, edits []edit, refused *api.Problem, within time.Duration) error {
	if len(edits) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errUnread)
	defer cancel()
	what := text.Printable(edits[0].path)
	if more := len(edits) - 1; more > 0 {
		what += " and " + text.Plural(uint64(more), "other file")
	}
	for {
		read, err := hasRead(ctx, c, edits, refused)
		switch {
		case errors.Is(err, errUnread):
			return fmt.Errorf("%s: written, but the proxy has not read it within %s: send it the signal HUP if it cannot watch its files, and look at `sluice status`", what, within)
		case err != nil:
			return fmt.Errorf("%s: written, but %w", what, err)
		case read:
			return nil
		}
		select {
		case <-ctx.Done(): // the next request says why
		case <-time.After(askAgain):
		}
	}
}

// errUnread is why awaitRead stops waiting.
var errUnread = errors.New("the proxy has not read it")

func hasRead(ctx context.Context, c *api.Client, edits []edit, refused *api.Problem) (bool, error) {
	now, err := c.Config(ctx)
	if err != nil {
		return false, err
	}
	read := true
	for i := range edits {
		read = read && textOf(now.Texts, edits[i].path) == string(edits[i].now)
	}
	if read {
		return true, nil
	}
	status, err := c.Status(ctx)
	if p := status.Config.Problem; err == nil && p != nil && !reflect.DeepEqual(p, refused) {
		err = fmt.Errorf("the proxy does not take it, and what was in force goes on: %w", p)
	}
	return false, err
}
