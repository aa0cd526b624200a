package lane

// SetSteps has f called at the named steps of a call.
func (c *Config) SetSteps(f func(step string)) { c.steps = f }
