package balance

// maxLevels is how many priorities are told apart; those after it count as the last.
const maxLevels = 8

// levels are the priorities that targets have, in order.
type levels struct {
	numbers [maxLevels]int
	n       int
}

func levelsOf(targets []Target) (l levels) {
	for i := range targets {
		l.add(targets[i].Priority)
	}
	return l
}

func (l *levels) add(priority int) {
	at := 0
	for at < l.n && l.numbers[at] < priority {
		at++
	}
	if at == maxLevels || (at < l.n && l.numbers[at] == priority) {
		return
	}
	copy(l.numbers[at+1:], l.numbers[at:])
	l.numbers[at] = priority
	l.n = min(l.n+1, maxLevels)
}

// of is the place of a priority: 0 is first.
func (l *levels) of(priority int) int {
	for at := range l.n {
		if priority <= l.numbers[at] {
			return at
		}
	}
	return l.n - 1
}
