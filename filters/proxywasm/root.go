package proxywasm

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// root is the root context: what ticks, queues and requests of its own call.
type root struct {
	f    *Filter
	stop chan struct{}
	wake chan struct{} // something is to be done
	ctx  context.Context
	end  context.CancelFunc
	jobs sync.WaitGroup

	told    chan struct{} // closed once the guest knows that the filter is closed
	lingers bool          // it is to go on for a while then; valid once told
	leaving atomic.Bool   // proxy_on_done is being called, or was
	left    atomic.Bool   // the guest has called proxy_done since

	mu      sync.Mutex // guards the following fields
	began   bool       // New is done
	running bool
	closing bool          // close was called
	closed  bool          // nothing begins any more
	period  time.Duration // of ticks; 0: none
	changed bool          // the period has
	ready   []uint32      // queues that have messages
	done    []event
	pending int    // requests of its own
	rpcs    []*rpc // of these, those of gRPC

	v *vm // what it runs on; nil: to be made. Of the goroutine that runs
}

func (r *root) init(f *Filter) {
	r.f = f
	r.stop, r.wake, r.told = make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
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

// serve does what there is to do until the filter is closed, and the guest has ended.
func (r *root) serve() {
	defer r.shut()
	defer r.leave()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	stop, late := r.stop, (<-chan time.Time)(nil)
	for {
		tick := false
		select {
		case <-stop:
			if r.goodbye() {
				return
			}
			limit := time.NewTimer(r.f.cfg.Done)
			defer limit.Stop()
			stop, late = nil, limit.C
			continue
		case <-late:
			r.f.log.Log(slog.LevelWarn, "root context of a filter has not ended in time", "limit", r.f.cfg.Done)
			r.delete()
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
		if stop == nil && (r.left.Load() || r.v == nil) {
			r.delete()
			return
		}
	}
}

// work calls the guest, and has the exchanges that are to come begin with what it has
// changed.
func (r *root) work(tick bool, ready []uint32, done []event) error {
	if r.v == nil {
		v, err := r.join()
		if err != nil {
			r.mu.Lock()
			r.back(ready, done)
			r.mu.Unlock()
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

// call calls the guest. What it has not been told of when it fails the next instance is.
func (r *root) call(v *vm, tick bool, ready []uint32, done []event) (err error) {
	for err == nil && len(done) > 0 {
		e := done[0]
		done = done[1:]
		r.over(e)
		err = e.tell(v, nil)
	}
	for err == nil && len(ready) > 0 {
		id := ready[0]
		ready = ready[1:]
		_, err = v.enter(nil, onQueueReady, rootID, uint64(id))
	}
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(done)+len(ready) > 0 {
			r.back(ready, done)
			r.run()
		}
		return err
	}
	if tick {
		_, err = v.enter(nil, onTick, rootID)
	}
	return err
}

// back takes back what the guest could not be told of: it is when there is something else
// to be done. r.mu is held.
func (r *root) back(ready []uint32, done []event) {
	r.done, r.ready = append(done, r.done...), append(ready, r.ready...)
}

// over counts what ends with an event.
func (r *root) over(e event) {
	if e.ends() != nil {
		r.mu.Lock()
		r.pending--
		r.mu.Unlock()
	}
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

// goodbye tells the guest that the filter is closed, and reports whether it has ended.
func (r *root) goodbye() (over bool) {
	defer close(r.told)
	f := r.f
	if r.v == nil {
		v, err := r.join()
		if err != nil {
			return true
		}
		r.v = v
	}
	r.leaving.Store(true)
	r.v.mu.Lock()
	done, err := r.v.enter(nil, onDone, rootID)
	r.v.mu.Unlock()
	if err != nil {
		if !isClosed(err) {
			f.failed(err, "context", "root")
		}
		return true
	}
	if f.exports.has[onDone] && uint32(done) == 0 && !r.left.Load() && !f.cfg.Quiet {
		r.lingers = true
		return false
	}
	r.delete()
	return true
}

// delete tells the guest that the root context is no more.
func (r *root) delete() {
	if r.v == nil {
		return
	}
	r.v.mu.Lock()
	_, err := r.v.enter(nil, onDelete, rootID)
	r.v.mu.Unlock()
	if err != nil && !isClosed(err) {
		r.f.failed(err, "context", "root")
	}
}

// shut has nothing begin any more, and ends what has begun.
func (r *root) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.end()
}

// close ends the root context, and waits until it has ended: see Config.Linger.
func (r *root) close() {
	has := &r.f.exports.has
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		return
	}
	r.closing = true
	if (has[onDone] || has[onDelete]) && !r.running {
		r.run()
	}
	running := r.running
	r.mu.Unlock()
	close(r.stop)
	if running {
		<-r.told
	} else {
		r.shut()
	}
	finish := func() {
		r.jobs.Wait()
		r.f.cfg.Data.forget(r)
	}
	if r.lingers && r.f.cfg.Linger != nil {
		r.f.cfg.Linger(finish)
		return
	}
	finish()
}
