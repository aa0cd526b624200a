package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// protocol is a parsed protocol file.
type protocol struct {
	pkg, name    string
	version, min int
	ops          []op
	structs      []*structType
	types        map[string]*typ
	file         *token.FileSet
}

type op struct {
	number       int
	name         string
	request, rep string
	note         bool
	killable     bool // no signal interrupts it
}

type structType struct {
	name   string
	fields []field
}

type field struct {
	name  string
	t     *typ
	max   int // 0: as many as there are
	since int
}

// typ is a type on the wire.
type typ struct {
	kind  kind
	name  string // as Go writes it
	basic string // of a named integer or float
	size  int    // fixed: bytes
	elem  *typ   // array, slice
	n     int    // array
	def   *structType
}

type kind int

const (
	kindBool kind = iota
	kindInt       // and unsigned, and floats
	kindString
	kindBytes
	kindArray
	kindSlice
	kindStruct
)

var basics = map[string]int{"bool": 1, "uint8": 1, "byte": 1, "int8": 1, "uint16": 2, "int16": 2,
	"uint32": 4, "int32": 4, "uint64": 8, "int64": 8, "float32": 4, "float64": 8}

func parse(name string, src []byte) (*protocol, error) {
	p := &protocol{types: map[string]*typ{}, file: token.NewFileSet()}
	f, err := parser.ParseFile(p.file, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	p.pkg = f.Name.Name
	for _, g := range f.Comments {
		for _, c := range g.List {
			if text, ok := strings.CutPrefix(c.Text, "//lane:"); ok {
				if err := p.directive(strings.Fields(text)); err != nil {
					return nil, fmt.Errorf("%s: %w", p.file.Position(c.Pos()), err)
				}
			}
		}
	}
	if p.name == "" {
		return nil, fmt.Errorf("%s: no //lane:protocol", name)
	}
	var specs []*ast.TypeSpec
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
			for _, s := range g.Specs {
				specs = append(specs, s.(*ast.TypeSpec))
			}
		}
	}
	// Structs may be used before they are defined, but not in themselves.
	for _, s := range specs {
		if _, ok := s.Type.(*ast.StructType); ok {
			def := &structType{name: s.Name.Name}
			p.structs = append(p.structs, def)
			p.types[def.name] = &typ{kind: kindStruct, name: def.name, def: def}
		}
	}
	for _, s := range specs {
		if _, ok := s.Type.(*ast.StructType); !ok {
			t, err := p.typeOf(s.Type)
			if err != nil {
				return nil, err
			}
			named := *t
			named.name = s.Name.Name
			if named.basic == "" {
				named.basic = t.name
			}
			p.types[s.Name.Name] = &named
		}
	}
	for _, s := range specs {
		if st, ok := s.Type.(*ast.StructType); ok {
			if err := p.fields(p.types[s.Name.Name].def, st); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range p.structs {
		if err := s.acyclic(nil); err != nil {
			return nil, err
		}
	}
	for _, s := range p.structs {
		if err := s.bounded(); err != nil {
			return nil, err
		}
	}
	return p, p.checkOps()
}

func (p *protocol) directive(w []string) error {
	number := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1<<31-1 {
			return 0, fmt.Errorf("bad number %q", s)
		}
		return n, nil
	}
	var err error
	switch {
	case len(w) >= 3 && len(w) <= 4 && w[0] == "protocol":
		p.name = w[1]
		if p.version, err = number(w[2]); err != nil {
			return err
		}
		p.min = p.version
		if len(w) == 4 {
			p.min, err = number(w[3])
		}
		return err
	case len(w) == 5 && w[0] == "call", len(w) == 6 && w[0] == "call" && w[5] == "killable",
		len(w) == 4 && w[0] == "note":
		o := op{name: w[2], request: w[3], note: w[0] == "note", killable: len(w) == 6}
		if o.number, err = number(w[1]); err != nil {
			return err
		}
		if !o.note {
			o.rep = w[4]
		}
		p.ops = append(p.ops, o)
		return nil
	}
	return fmt.Errorf("unknown //lane:%s", strings.Join(w, " "))
}

func (p *protocol) checkOps() error {
	numbers, names := map[int]bool{}, map[string]bool{}
	for _, o := range p.ops {
		if numbers[o.number] || names[o.name] {
			return fmt.Errorf("operation %d %s is there twice", o.number, o.name)
		}
		numbers[o.number], names[o.name] = true, true
		for _, m := range []string{o.request, o.rep} {
			if t := p.types[m]; m != "" && (t == nil || t.kind != kindStruct) {
				return fmt.Errorf("operation %s: no struct %s", o.name, m)
			}
		}
	}
	return nil
}

func (p *protocol) fields(def *structType, st *ast.StructType) error {
	for _, f := range st.Fields.List {
		at := p.file.Position(f.Pos())
		if len(f.Names) == 0 {
			return fmt.Errorf("%s: embedded fields are not supported", at)
		}
		t, err := p.typeOf(f.Type)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		var max, since int
		if f.Tag != nil {
			text, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			for _, part := range strings.FieldsFunc(reflect.StructTag(text).Get("lane"), func(r rune) bool { return r == ',' }) {
				key, val, _ := strings.Cut(part, "=")
				n, err := strconv.Atoi(val)
				switch {
				case err != nil || n <= 0:
					return fmt.Errorf("%s: bad tag %q", at, part)
				case key == "max" && (t.kind == kindString || t.kind == kindBytes || t.kind == kindSlice):
					max = n
				case key == "since":
					since = n
				default:
					return fmt.Errorf("%s: bad tag %q", at, part)
				}
			}
		}
		for _, n := range f.Names {
			if !n.IsExported() {
				return fmt.Errorf("%s: field %s is not exported", at, n.Name)
			}
			if k := len(def.fields); k > 0 && def.fields[k-1].since > since {
				return fmt.Errorf("%s: field %s is older than the one before it: new fields go to the end", at, n.Name)
			}
			def.fields = append(def.fields, field{n.Name, t, max, since})
		}
	}
	return nil
}

func (p *protocol) typeOf(e ast.Expr) (*typ, error) {
	switch e := e.(type) {
	case *ast.Ident:
		switch size, ok := basics[e.Name]; {
		case e.Name == "string":
			return &typ{kind: kindString, name: "string"}, nil
		case e.Name == "bool":
			return &typ{kind: kindBool, name: "bool", size: 1}, nil
		case ok:
			return &typ{kind: kindInt, name: e.Name, size: size}, nil
		}
		if t := p.types[e.Name]; t != nil {
			return t, nil
		}
	case *ast.ArrayType:
		elem, err := p.typeOf(e.Elt)
		if err != nil {
			return nil, err
		}
		if e.Len == nil {
			if elem.kind == kindInt && elem.size == 1 && (elem.name == "byte" || elem.name == "uint8") {
				return &typ{kind: kindBytes, name: "[]byte"}, nil
			}
			return &typ{kind: kindSlice, name: "[]" + elem.name, elem: elem}, nil
		}
		lit, ok := e.Len.(*ast.BasicLit)
		if !ok {
			return nil, fmt.Errorf("an array's length must be a number")
		}
		n, err := strconv.Atoi(lit.Value)
		if err != nil || n < 0 || n > 1<<20 {
			return nil, fmt.Errorf("bad array length %s", lit.Value)
		}
		return &typ{kind: kindArray, name: fmt.Sprintf("[%d]%s", n, elem.name), elem: elem, n: n}, nil
	}
	return nil, fmt.Errorf("type %T is not supported in messages", e)
}

// acyclic refuses a struct that contains itself.
func (s *structType) acyclic(path []string) error {
	for _, n := range path {
		if n == s.name {
			return fmt.Errorf("struct %s contains itself", s.name)
		}
	}
	for _, f := range s.fields {
		t := f.t
		for t.elem != nil {
			t = t.elem
		}
		if t.kind == kindStruct {
			if err := t.def.acyclic(append(path, s.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounded refuses slices of what may take no bytes: a few bytes would then stand for
// any count of elements.
func (s *structType) bounded() error {
	for _, f := range s.fields {
		for t := f.t; t.elem != nil; t = t.elem {
			if t.kind == kindSlice && t.elem.least() == 0 {
				return fmt.Errorf("%s.%s: a slice of %s, which takes no bytes in some version, would have no bound; give it a field",
					s.name, f.name, t.elem.name)
			}
		}
	}
	return nil
}

// fixed returns the size of a type all of whose values have the same size.
func (t *typ) fixed() (int, bool) {
	switch t.kind {
	case kindBool, kindInt:
		return t.size, true
	case kindArray:
		n, ok := t.elem.fixed()
		return n * t.n, ok
	case kindStruct:
		sum := 0
		for _, f := range t.def.fields {
			n, ok := f.t.fixed()
			if !ok || f.since > 0 {
				return 0, false
			}
			sum += n
		}
		return sum, true
	}
	return 0, false
}

// least returns the size of the type's smallest value.
func (t *typ) least() int {
	switch t.kind {
	case kindBool, kindInt:
		return t.size
	case kindArray:
		return t.n * t.elem.least()
	case kindStruct:
		sum := 0
		for _, f := range t.def.fields {
			if f.since == 0 {
				sum += f.t.least()
			}
		}
		return sum
	}
	return 4
}
