package strictyaml

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Position is a place in a document. Line and Column count from 1, columns in characters; Line 0 is the whole file.
type Position struct {
	File         string
	Line, Column int
}

// String is file:line:column, as editors understand it; line:column when the document has no name.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	if p.File == "" {
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one mistake in a document.
type Problem struct {
	Pos Position
	// Path is the way to the key, such as "routes[2].to.timeout"; empty is the document itself.
	Path string
	// Message is a short phrase, without position and path.
	Message string
}

// Error is "file:line:column: path: message".
func (p Problem) Error() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all mistakes of a document, by position.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is ps as an error, or nil when there is no problem.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Excerpt is Error with the line of the document under each problem and a caret at the column. data is what was read.
func (ps Problems) Excerpt(data []byte) string {
	lines := bytes.Split(data, []byte("\n"))
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.Error() + "\n")
		if p.Pos.Line < 1 || p.Pos.Line > len(lines) {
			continue
		}
		line := strings.TrimRight(string(lines[p.Pos.Line-1]), "\r \t")
		if strings.TrimSpace(line) == "" || len(line) > maxExcerpt || !utf8.ValidString(line) {
			continue
		}
		number := fmt.Sprint(p.Pos.Line)
		fmt.Fprintf(&b, "  %s | %s\n  %s | %s^\n", number, line, strings.Repeat(" ", len(number)), indent(line, p.Pos.Column-1))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const maxExcerpt = 200

// indent is white space as wide as the first n characters of line; tabs stay, so that the caret stands right.
func indent(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n--; n < 0 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Sort puts problems in the order of the document, and keeps only the first of equal ones.
func (ps Problems) Sort() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(ps)
}
