package nacos

import "sync"

// pool runs tasks on at most limit goroutines, which exist only while there is something to do.
type pool struct {
	limit int

	mu      sync.Mutex
	queue   []func()
	running int
	workers sync.WaitGroup
}

func (p *pool) submit(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, task)
	if p.running < p.limit {
		p.running++
		p.workers.Go(p.work)
	}
}

func (p *pool) work() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running--
			p.queue = nil
			p.mu.Unlock()
			return
		}
		task := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		task()
	}
}

// wait returns when every task has run. Nothing may be submitted after it was called.
func (p *pool) wait() { p.workers.Wait() }
