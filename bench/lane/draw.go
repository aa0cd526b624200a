package main

import (
	"bytes"
	"fmt"
	"math"
)

// The picture: a grid of panels with one scale of time, and one legend.
const (
	plotW, plotH = 400, 300
	marginX      = 60
	marginY      = 60
	legendW      = 300
)

var colours = []string{"#0b5fa5", "#2a9d4e", "#7b3fa0", "#e07b00", "#444444", "#8a8a8a", "#c9b100", "#b08d2e", "#c0392b", "#13a3a3", "#d16ba5"}

// draw makes the picture: time per request over size or clients, both logarithmic.
func draw(all []panel) []byte {
	var list []panel
	minT, maxT := math.Inf(1), 0.0
	for _, p := range all {
		if p.list == nil || p.clients && p.size != 64 {
			continue
		}
		list = append(list, p)
		for _, f := range p.list {
			if f.err == nil {
				us := float64(f.median) / 1000
				minT, maxT = math.Min(minT, us), math.Max(maxT, us)
			}
		}
	}
	lo, hi := math.Floor(math.Log10(minT)), math.Ceil(math.Log10(maxT))
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w, h := 2*(plotW+marginX)+legendW+20, (len(list)+1)/2*(plotH+marginY)+70
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`, w, h)
	p(`<rect width="%d" height="%d" fill="white"/>`, w, h)
	p(`<text x="%d" y="25" font-size="17">One request with a payload to another process and back: median time</text>`, marginX)
	for i, one := range list {
		left, top := float64(marginX+i%2*(plotW+marginX)), float64(60+i/2*(plotH+marginY))
		one.draw(p, left, top, lo, hi)
	}
	for k, way := range ways {
		x, y := 2*(plotW+marginX)+30, 75+26*k
		p(`<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="4"/>`, x, x+20, y, y, colours[k%len(colours)])
		p(`<text x="%d" y="%d" font-size="12">%s</text>`, x+26, y+4, way.title)
	}
	p(`</svg>`)
	return b.Bytes()
}

// draw draws one panel, with times from 10^lo to 10^hi microseconds.
func (one *panel) draw(p func(string, ...any), left, top, lo, hi float64) {
	columns, at, name := sizes, func(f figure) int { return f.size }, sizeName
	if one.clients {
		columns, at, name = clients, func(f figure) int { return f.clients }, func(n int) string { return fmt.Sprint(n) }
	}
	x := func(n int) float64 {
		a, z := math.Log2(float64(columns[0])), math.Log2(float64(columns[len(columns)-1]))
		return left + (math.Log2(float64(n))-a)/(z-a)*plotW
	}
	y := func(us float64) float64 { return top + plotH - (math.Log10(us)-lo)/(hi-lo)*plotH }
	p(`<text x="%.1f" y="%.1f" font-size="14">%s</text>`, left, top-8, one.title)
	for e := lo; e <= hi; e++ {
		us := math.Pow(10, e)
		p(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, left+plotW, y(us), y(us))
		text := fmt.Sprintf("%g µs", us)
		if us >= 1000 {
			text = fmt.Sprintf("%g ms", us/1000)
		}
		p(`<text x="%.1f" y="%.1f" text-anchor="end" font-size="11">%s</text>`, left-4, y(us)+4, text)
	}
	for _, n := range columns {
		p(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, x(n), x(n), top, top+plotH)
		p(`<text x="%.1f" y="%.1f" text-anchor="middle" font-size="11">%s</text>`, x(n), top+plotH+16, name(n))
	}
	for k, way := range ways {
		var line string
		for _, f := range one.list {
			if f.way == way.name && f.err == nil {
				line += fmt.Sprintf("%.1f,%.1f ", x(at(f)), y(float64(f.median)/1000))
			}
		}
		if line != "" {
			p(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, line, colours[k%len(colours)])
		}
	}
}
