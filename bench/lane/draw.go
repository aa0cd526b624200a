package main

import (
	"bytes"
	"fmt"
	"math"
)

// draw makes the picture: time per request over size, both logarithmic.
func draw(list []figure) []byte {
	const w, h, left, top, right, bottom = 900, 520, 70, 50, 250, 60
	minT, maxT := math.Inf(1), 0.0
	for _, f := range list {
		if f.err == nil {
			us := float64(f.median) / 1000
			minT, maxT = math.Min(minT, us), math.Max(maxT, us)
		}
	}
	lo, hi := math.Floor(math.Log10(minT)), math.Ceil(math.Log10(maxT))
	x := func(n int) float64 {
		a, z := math.Log2(float64(sizes[0])), math.Log2(float64(sizes[len(sizes)-1]))
		return left + (math.Log2(float64(n))-a)/(z-a)*(w-left-right)
	}
	y := func(us float64) float64 { return h - bottom - (math.Log10(us)-lo)/(hi-lo)*(h-top-bottom) }
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`, w, h)
	p(`<rect width="%d" height="%d" fill="white"/>`, w, h)
	p(`<text x="%d" y="25" font-size="16">One request with a payload to another process and back: median time</text>`, left)
	for e := lo; e <= hi; e++ {
		us := math.Pow(10, e)
		p(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, w-right, y(us), y(us))
		name := fmt.Sprintf("%g µs", us)
		if us >= 1000 {
			name = fmt.Sprintf("%g ms", us/1000)
		}
		p(`<text x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y(us)+4, name)
	}
	for _, n := range sizes {
		p(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/>`, x(n), x(n), top, h-bottom)
		p(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(n), h-bottom+20, sizeName(n))
	}
	colours := []string{"#0b5fa5", "#2a9d4e", "#7b3fa0", "#e07b00", "#444444", "#999999", "#b08d2e", "#c0392b", "#13a3a3", "#d16ba5"}
	for k, way := range ways {
		var line string
		var end float64
		for _, f := range list {
			if f.way == way.name && f.err == nil {
				end = y(float64(f.median) / 1000)
				line += fmt.Sprintf("%.1f,%.1f ", x(f.size), end)
			}
		}
		if line == "" {
			continue
		}
		p(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2.5"/>`, line, colours[k%len(colours)])
		p(`<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="4"/>`, w-right+12, w-right+32, top+10+26*k, top+10+26*k, colours[k%len(colours)])
		p(`<text x="%d" y="%d" font-size="12">%s</text>`, w-right+38, top+14+26*k, way.title)
	}
	p(`</svg>`)
	return b.Bytes()
}
