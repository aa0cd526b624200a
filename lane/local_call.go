package lane

import (
	"context"
	"errors"
	"syscall"
	"time"
)

var tooBig = result{status: statusDone, value: uint32(syscall.EMSGSIZE)}

// request is Lane.Call within the process. A handler that never blocks runs on
// the caller's goroutine, with the caller's own buffers. Any other runs on
// another goroutine, with copies, so that it can be abandoned.
func (h *localHalf) request(ctx context.Context, req, rep *Message) error {
	h.from.cfg.step("begin")
	if ctx.Err() != nil {
		closeObjects(req.Objects)
		req.Objects = nil
		return context.Cause(ctx)
	}
	c, err := h.acquire(ctx, req.Op)
	if err != nil {
		closeObjects(req.Objects)
		req.Objects = nil
		return err
	}
	if err := passable(req.Objects); err != nil {
		closeObjects(req.Objects)
		req.Objects = nil
		h.mu.Lock()
		h.releaseLocked(c)
		h.mu.Unlock()
		return err
	}
	h.mu.Lock()
	if h.handler != nil && h.opts.Inline && len(h.queue) == 0 && h.startableLocked() {
		h.running++
		handler := h.handler
		h.mu.Unlock()
		return h.inline(ctx, c, handler, req, rep)
	}
	h.mu.Unlock()
	if err := h.prepare(ctx, c, req, rep, false); err != nil {
		return err
	}
	h.from.cfg.step("post")
	h.post(c)
	return h.wait(ctx, c, rep)
}

func (h *localHalf) note(ctx context.Context, m *Message) error {
	if ctx.Err() != nil {
		closeObjects(m.Objects)
		m.Objects = nil
		return context.Cause(ctx)
	}
	c, err := h.acquire(ctx, m.Op)
	if err != nil {
		closeObjects(m.Objects)
		m.Objects = nil
		return err
	}
	if err := h.prepare(ctx, c, m, nil, true); err != nil {
		return err
	}
	h.post(c)
	return nil
}

// prepare copies the request for a server that may outlive the call.
func (h *localHalf) prepare(ctx context.Context, c *localCall, req, rep *Message, note bool) error {
	objects := req.Objects
	req.Objects = nil
	room, data := 0, InlineData
	if rep != nil {
		room, data = len(rep.Bulk), max(data, cap(rep.Data))
	}
	var err error
	if note {
		err = passable(objects)
	}
	if len(req.Data)+len(req.Bulk)+room+data > h.from.cfg.Arena+slotRoom {
		err = ErrTooBig
	}
	if err == nil {
		err = h.takeRoom(ctx, c, roomFor(len(req.Data), len(req.Bulk), room, data))
	}
	if err != nil {
		closeObjects(objects)
		h.mu.Lock()
		h.releaseLocked(c)
		h.mu.Unlock()
		return err
	}
	r := newRequest(h.to, deadlineOf(ctx))
	r.call, r.Op, r.IsNote, r.maxData = c, req.Op, note, data
	r.Data = append(r.dataBuf[:0], req.Data...)
	r.dataBuf = r.Data
	r.Reply.Data = r.replyBuf[:0]
	if len(req.Bulk) > 0 {
		r.bulkBuf = getBuffer(len(req.Bulk))
		r.Bulk = r.bulkBuf[:copy(r.bulkBuf, req.Bulk)]
	}
	if room > 0 {
		r.roomBuf = getBuffer(room)
	}
	r.room = r.roomBuf
	r.Objects = moveAll(objects)
	c.note = note
	h.mu.Lock()
	c.req = r
	h.mu.Unlock()
	return nil
}

func (h *localHalf) post(c *localCall) {
	h.mu.Lock()
	slotPost(&c.state, c.gen)
	h.queue = append(h.queue, c)
	h.mu.Unlock()
	h.start()
}

// inline runs the handler as a function call.
func (h *localHalf) inline(ctx context.Context, c *localCall, handler Handler, req, rep *Message) error {
	r := newRequest(h.to, 0)
	r.call, r.Message = c, *req
	r.Objects = moveAll(req.Objects)
	req.Objects = nil
	r.maxData = InlineData
	if rep != nil {
		r.room = rep.Bulk
		r.Reply.Data = rep.Data[:0]
		r.maxData = max(r.maxData, cap(rep.Data))
	} else {
		r.Reply.Data = r.replyBuf[:0]
	}
	if ctx.Done() != nil {
		r.ctx = ctx
	}
	h.mu.Lock()
	c.req = r
	if h.closing != nil {
		r.own.cancel(h.closing)
	}
	h.mu.Unlock()
	res := r.deliverable(r.resultOf(r.run(handler), &h.to.cfg.Causes), &h.to.cfg.Causes)
	h.give(r, res, rep)
	h.mu.Lock()
	h.running--
	if h.running == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
	h.releaseLocked(c)
	more := len(h.queue) > 0
	h.mu.Unlock()
	r.recycle()
	if more {
		h.start()
	}
	var cause error
	if ctx.Err() != nil {
		cause = context.Cause(ctx)
	}
	return callError(res, cause, false, &h.from.cfg.Causes)
}

// deliverable returns the outcome of a request whose handler said res: another one
// when the reply cannot cross, as it could not over a ring.
func (r *Request) deliverable(res result, causes *Causes) result {
	if len(r.Reply.Data) > r.maxData || len(r.Reply.Bulk) > len(r.room) || len(r.Reply.Objects) > MaxObjects {
		res = tooBig
	} else if !res.success() {
		return res
	} else if err := passable(r.Reply.Objects); err != nil {
		res = r.resultOf(unsendable(err), causes)
	} else {
		return res
	}
	r.runUndo()
	r.Reply = Message{}
	return res
}

// give moves a reply into the caller's buffers.
func (h *localHalf) give(r *Request, res result, rep *Message) {
	if rep == nil || !res.success() {
		closeObjects(r.Reply.Objects)
		r.Reply.Objects = nil
	}
	if rep == nil {
		return
	}
	data := rep.Data[:0]
	if n := len(r.Reply.Data); n > 0 {
		if cap(data) > 0 && &data[:1][0] == &r.Reply.Data[0] {
			data = r.Reply.Data
		} else {
			data = append(data, r.Reply.Data...)
		}
	}
	rep.Data = data
	if n := len(r.Reply.Bulk); n > 0 && &rep.Bulk[0] == &r.Reply.Bulk[0] {
		rep.Bulk = rep.Bulk[:n]
	} else {
		rep.Bulk = rep.Bulk[:copy(rep.Bulk, r.Reply.Bulk)]
	}
	rep.Objects = moveAll(r.Reply.Objects)
	r.Reply.Objects = nil
}

// wait returns the outcome of a posted request.
func (h *localHalf) wait(ctx context.Context, c *localCall, rep *Message) error {
	gen := c.gen
	for {
		if c.state.Load() == slotWord(gen, slotDone) {
			return h.take(c, rep, nil)
		}
		if err := h.deadErr(); err != nil {
			return h.lost(c, rep, err)
		}
		h.from.cfg.step("block")
		select {
		case <-c.wake:
		case <-ctx.Done():
			return h.cancel(ctx, c, rep)
		}
	}
}

func (h *localHalf) deadErr() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead
}

// lost decides what became of a request whose lane has ended. The slot is not
// used again.
func (h *localHalf) lost(c *localCall, rep *Message, why error) error {
	h.mu.Lock()
	if slotWithdraw(&c.state, c.gen) {
		r := c.req
		c.req = nil
		h.mu.Unlock()
		if r != nil {
			r.recycle()
		}
		return why
	}
	done := c.state.Load() == slotWord(c.gen, slotDone)
	h.mu.Unlock()
	if done {
		return h.take(c, rep, nil)
	}
	return &DoubtError{why}
}

// cancel follows the same steps as over a ring.
func (h *localHalf) cancel(ctx context.Context, c *localCall, rep *Message) error {
	gen := c.gen
	cause := context.Cause(ctx)
	code := h.from.cfg.Causes.code(cause)
	h.from.cfg.step("withdraw")
	if slotWithdraw(&c.state, gen) {
		h.withdrawn(c)
		return cause
	}
	h.tell(c, code)
	if h.from.cfg.patient(code) {
		timer := time.NewTimer(h.from.cfg.Grace)
		defer timer.Stop()
		final, why := h.from.cfg.final(ctx)
		for waiting := true; waiting; {
			if c.state.Load() == slotWord(gen, slotDone) {
				return h.take(c, rep, cause)
			}
			if err := h.deadErr(); err != nil {
				return h.lost(c, rep, err)
			}
			select {
			case <-c.wake:
			case <-timer.C:
				waiting = false
			case <-final:
				cause = why()
				h.tell(c, h.from.cfg.Causes.code(cause))
				waiting = false
			}
		}
	}
	h.from.cfg.step("abandon")
	if slotAbandon(&c.state, gen) {
		return &DoubtError{cause}
	}
	if c.state.Load() == slotWord(gen, slotDone) {
		return h.take(c, rep, cause)
	}
	return h.lost(c, rep, errors.Join(cause, h.deadErr()))
}

// withdrawn leaves a request that was never started to takeLocked, or ends it
// when the lane is over.
func (h *localHalf) withdrawn(c *localCall) {
	h.mu.Lock()
	var r *Request
	if h.dead != nil {
		r, c.req = c.req, nil
	}
	h.mu.Unlock()
	if r != nil {
		r.recycle()
	}
}

// tell cancels the context of the running request.
func (h *localHalf) tell(c *localCall, code uint8) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slotCancel(&c.cause, c.gen, code)
	if c.req != nil {
		c.req.own.cancel(h.to.cfg.Causes.err(code))
	}
}

// take hands over the reply of a request that is done.
func (h *localHalf) take(c *localCall, rep *Message, cause error) error {
	h.mu.Lock()
	r, res := c.req, c.res
	hadDeadline := r.own.deadline != 0
	h.releaseLocked(c)
	h.mu.Unlock()
	h.give(r, res, rep)
	r.recycle()
	return callError(res, cause, hadDeadline, &h.from.cfg.Causes)
}
