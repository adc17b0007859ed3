package accesslog

import (
	"io"
	"log/slog"
	"time"
)

// Config says where lines go, and how. The zero value of a field means its
// default.
type Config struct {
	Output   io.Writer     // lines are written to it by one goroutine, many at a time; a *File is rotated. Default nil: there are no lines
	Format   Format        // what a line looks like. Default JSON
	Fields   []string      // names of request fields that lines of JSON carry, under "fields". Default none
	Redact   []string      // fields of requests and responses whose values are replaced by "[redacted]", in every format. Default none
	Delay    time.Duration // how long a line waits for others at most. Default 100ms
	Flush    int           // bytes pending after which lines do not wait. Default 64 KiB
	Buffer   int           // bytes pending beyond which lines are dropped, because the output is too slow. Default 1 MiB
	MaxValue int           // bytes of a value after which it is cut, and ends in "...". Default 8 KiB
	Linger   time.Duration // how long Close waits for the output. Default 2s
	Log      *slog.Logger  // is told of lines that were lost. Default nil: nobody is
}

func (c *Config) setDefaults() {
	if c.Delay <= 0 {
		c.Delay = 100 * time.Millisecond
	}
	if c.Flush <= 0 {
		c.Flush = 64 << 10
	}
	if c.Buffer <= 0 {
		c.Buffer = 1 << 20
	}
	if c.MaxValue <= 0 {
		c.MaxValue = 8 << 10
	}
	if c.Linger <= 0 {
		c.Linger = 2 * time.Second
	}
}
