package strictyaml

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest finds the word that somebody who wrote s most likely meant, or "". Case, dashes and underscores do not count;
// beyond that about a third of the letters may differ.
func Nearest(s string, words []string) string {
	best, bestDistance := "", 0
	plain := fold(s)
	if len(plain) > 64 { // a word this long is no slip of a key
		return ""
	}
	for _, w := range slices.Sorted(slices.Values(words)) {
		d := distance(plain, fold(w))
		if limit := max(1, max(len(plain), len(w))/3); d > limit || d >= max(len(plain), 1) {
			continue
		}
		if best == "" || d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// Unknown is the message for a word that is not one of words: `unknown key "timout"; did you mean "timeout"?`.
func Unknown(what, s string, words []string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "..."
	}
	if w := Nearest(s, words); w != "" {
		return fmt.Sprintf("unknown %s %q; did you mean %q?", what, s, w)
	}
	switch n := len(words); {
	case n == 0:
		return fmt.Sprintf("unknown %s %q; there is none", what, s)
	case n <= 16:
		return fmt.Sprintf("unknown %s %q; known: %s", what, s, strings.Join(slices.Sorted(slices.Values(words)), ", "))
	}
	return fmt.Sprintf("unknown %s %q", what, s)
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// distance counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
func distance(a, b string) int {
	if len(b) > 64 {
		return len(b)
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
