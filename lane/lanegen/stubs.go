package main

// client writes a method for every operation.
func (w *writer) client() {
	w.printf(`// Client asks over a lane. Its methods may be called concurrently.
type Client struct{ Lane *lane.Lane }

`)
	for _, o := range w.p.ops {
		if o.note {
			w.printf(`// %[1]s sends a note. x, which may be nil, carries bulk and objects.
func (c Client) %[1]s(ctx context.Context, req *%[2]s, x *lane.Extra) error {
	s := lane.GetScratch()
	defer s.Put()
	s.Request.Op = Op%[1]s
	s.Request.Data = req.AppendLane(s.Request.Data[:0], c.Lane.Version())
	return s.Note(ctx, c.Lane, x)
}

`, o.name, o.request)
			continue
		}
		how, ctx := "A signal interrupts it.", "ctx"
		if o.killable {
			how, ctx = "No signal interrupts it, only a final cause ends it.", "lane.Killable(ctx)"
		}
		w.printf(`// %[1]s makes a call. %[4]s x, which may be nil, carries bulk
// and objects both ways. Byte slices in rep are valid until x's next use.
func (c Client) %[1]s(ctx context.Context, req *%[2]s, rep *%[3]s, x *lane.Extra) error {
	s := lane.GetScratch()
	defer s.Put()
	version := c.Lane.Version()
	s.Request.Op = Op%[1]s
	s.Request.Data = req.AppendLane(s.Request.Data[:0], version)
	if err := s.Call(%[5]s, c.Lane, x); err != nil {
		return err
	}
	return s.Decoded(x, rep.DecodeLane(s.Keep(x), version))
}

`, o.name, o.request, o.rep, how, ctx)
	}
}

// server writes the interface of the answering side and its dispatcher.
func (w *writer) server() {
	w.printf("// Server answers the protocol's operations. Request and reply are valid until the\n// method returns. r carries bulk and objects.\ntype Server interface {\n")
	for _, o := range w.p.ops {
		if o.note {
			w.printf("%s(ctx context.Context, req *%s, r *lane.Request) error\n", o.name, o.request)
		} else {
			w.printf("%s(ctx context.Context, req *%s, rep *%s, r *lane.Request) error\n", o.name, o.request, o.rep)
		}
	}
	w.printf("}\n\n")
	w.printf("// Handler gives requests to s. One that cannot be decoded fails with EBADMSG, an\n// unknown operation with ENOSYS.\nfunc Handler(s Server) lane.Handler {\n")
	for _, o := range w.p.ops {
		if o.note {
			w.printf("var pool%s = sync.Pool{New: func() any { return new(%s) }}\n", o.name, o.request)
		} else {
			w.printf("type io%[1]s struct {\nreq %[2]s\nrep %[3]s\n}\nvar pool%[1]s = sync.Pool{New: func() any { return new(io%[1]s) }}\n", o.name, o.request, o.rep)
		}
	}
	w.printf("return func(ctx context.Context, r *lane.Request) error {\nversion := r.Lane().Version()\nswitch r.Op {\n")
	for _, o := range w.p.ops {
		w.printf("case Op%s:\n", o.name)
		if o.note {
			w.printf(`m := pool%[1]s.Get().(*%[2]s)
defer pool%[1]s.Put(m)
if err := m.DecodeLane(r.Data, version); err != nil || !r.IsNote {
	return syscall.EBADMSG
}
return s.%[1]s(ctx, m, r)
`, o.name, o.request)
			continue
		}
		w.printf(`m := pool%[1]s.Get().(*io%[1]s)
defer pool%[1]s.Put(m)
if err := m.req.DecodeLane(r.Data, version); err != nil || r.IsNote {
	return syscall.EBADMSG
}
m.rep = %[2]s{}
if err := s.%[1]s(ctx, &m.req, &m.rep, r); err != nil {
	return err
}
r.Reply.Data = m.rep.AppendLane(r.Reply.Data[:0], version)
return nil
`, o.name, o.rep)
	}
	w.printf("}\nreturn syscall.ENOSYS\n}\n}\n")
}
