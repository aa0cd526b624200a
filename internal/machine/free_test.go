package machine

import "testing"

// TestFreeThen frees a space when its process has ended, whether that is before
// or after it is asked for.
func TestFreeThen(t *testing.T) {
	m, _ := start(t, loop...)
	for name, first := range map[string]func(*Space){
		"before": func(s *Space) { s.Kill(); <-s.Done() },
		"after":  func(*Space) {},
	} {
		t.Run(name, func(t *testing.T) {
			th, err := m.NewThread()
			if err != nil {
				t.Fatal(err)
			}
			s := th.Space()
			first(s)
			freed := make(chan struct{})
			s.FreeThen(func() { close(freed) })
			s.Kill()
			<-freed
			if s.mem != nil || s.localFD >= 0 {
				t.Error("not freed")
			}
		})
	}
}
