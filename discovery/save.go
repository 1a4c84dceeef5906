package discovery

// Save writes what is known now, and nothing from then on: a stop calls it before it gives up what it watches, since only
// that is kept.
func (c *Catalogue) Save() {
	c.keeper.writeAll(true)
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	c.keeper.keep.Path = ""
}
