package proxywasm

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// root is the root context: what ticks, queues and requests of its own call.
type root struct {
	f    *Filter
	stop chan struct{}
	wake chan struct{} // something is to be done
	ctx  context.Context
	end  context.CancelFunc
	jobs sync.WaitGroup

	mu      sync.Mutex // guards the following fields
	began   bool       // New is done
	running bool
	closed  bool
	period  time.Duration // of ticks; 0: none
	changed bool          // the period has
	ready   []uint32      // queues that have messages
	done    []*request
	pending int

	v *vm // what it runs on; nil: to be made. Of the goroutine that runs
}

func (r *root) init(f *Filter) {
	r.f = f
	r.stop, r.wake = make(chan struct{}), make(chan struct{}, 1)
	r.ctx, r.end = context.WithCancel(context.Background())
}

// begin says that the filter is there.
func (r *root) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = true
	if r.changed || len(r.ready) > 0 || r.pending > 0 {
		r.run()
	}
}

// run has the root context run on its own goroutine. r.mu is held.
func (r *root) run() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
	if r.began && !r.running && !r.closed {
		r.running = true
		r.jobs.Go(r.serve)
	}
}

// every sets the period of ticks, 0 for none.
func (r *root) every(d time.Duration) {
	if d > 0 {
		d = max(d, r.f.cfg.Tick)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d != r.period {
		r.period, r.changed = d, true
		r.run()
	}
}

// maxReady bounds the messages that are to be told of.
const maxReady = 10000

// queued says that a queue has a message.
func (r *root) queued(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ready) < maxReady {
		r.ready = append(r.ready, id)
	}
	r.run()
}

// start lets a request of the root context go.
func (r *root) start(q *request, head edge.Request, d time.Duration) status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.pending >= r.f.cfg.Calls {
		return internalFailure
	}
	r.pending++
	q.ctx, q.cancel = context.WithTimeout(r.ctx, d)
	var none edge.Exchange
	none.Client = new(edge.Client)
	q.x = none.Fork(q.ctx)
	q.x.Send(head)
	r.jobs.Go(func() {
		q.run(r.f.cfg.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.done = append(r.done, q)
		r.run()
	})
	return statusOK
}

// serve does what there is to do until the filter is closed.
func (r *root) serve() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		tick := false
		select {
		case <-r.stop:
			r.leave()
			return
		case <-r.wake:
		case <-timer.C:
			tick = true
		}
		r.mu.Lock()
		ready, done, period := r.ready, r.done, r.period
		again := r.changed || tick
		tick = tick && !r.changed // else it is one of the period that was
		r.ready, r.done, r.changed = nil, nil, false
		r.pending -= len(done)
		r.mu.Unlock()
		if again {
			timer.Stop()
			if period > 0 {
				timer.Reset(period)
			}
		}
		if !tick && len(ready) == 0 && len(done) == 0 {
			continue
		}
		if err := r.work(tick, ready, done); err != nil && !isClosed(err) {
			r.f.failed(err, "context", "root")
		}
	}
}

// work calls the guest, and has the exchanges that are to come begin with what it has
// changed.
func (r *root) work(tick bool, ready []uint32, done []*request) error {
	if r.v == nil {
		v, err := r.join()
		if err != nil {
			return err
		}
		r.v = v
	}
	v := r.v
	v.mu.Lock()
	err := r.call(v, tick, ready, done)
	if err == nil && !r.f.cfg.Shared {
		if why := v.in.Lead(); why != nil {
			r.f.log.Log(slog.LevelWarn, "requests do not see what the root context of a filter does", "err", why)
		}
	}
	v.mu.Unlock()
	if err != nil {
		r.leave() // the next begins as the last that went well has ended
	}
	return err
}

func (r *root) call(v *vm, tick bool, ready []uint32, done []*request) error {
	for _, q := range done {
		if err := v.tellOf(nil, q); err != nil {
			return err
		}
	}
	for _, id := range ready {
		if _, err := v.enter(nil, onQueueReady, rootID, uint64(id)); err != nil {
			return err
		}
	}
	if tick {
		_, err := v.enter(nil, onTick, rootID)
		return err
	}
	return nil
}

// join returns what the root context runs on.
func (r *root) join() (*vm, error) {
	f := r.f
	if f.cfg.Shared {
		return f.share()
	}
	v := f.newVM()
	v.preparing, v.leads, v.use.Root = false, true, true
	in, err := f.pool.Get(v, func() context.Context { return r.ctx })
	if err != nil {
		return nil, err
	}
	in.Keep()
	v.in = in
	return v, nil
}

// leave gives up what the root context runs on.
func (r *root) leave() {
	if r.v != nil {
		r.f.leave(r.v)
		r.v = nil
	}
}

// close ends the root context, and waits until it has ended.
func (r *root) close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return
	}
	close(r.stop)
	r.end()
	r.f.cfg.Data.forget(r)
	r.jobs.Wait()
}
