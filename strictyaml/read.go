package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a document: far above what people write, about 50,000 routes.
const (
	maxBytes   = 16 << 20
	maxDepth   = 64
	maxAliased = 200_000 // nodes that aliases may add
)

// Env looks up a variable for ${NAME}; os.LookupEnv is one.
type Env func(name string) (string, bool)

// Read turns a document into its tree. file is only named in positions. A nil env is the process's environment.
//
// What breaks the document as a whole (no YAML, several documents, over a bound) gives Problems and no Node. Mistakes of
// single nodes (a key twice, an unknown variable) are kept in the tree, and reported when they are decoded.
func Read(file string, data []byte, env Env) (*Node, Problems) {
	if env == nil {
		env = os.LookupEnv
	}
	fail := func(line, column int, message string) (*Node, Problems) {
		return nil, Problems{{Pos: Position{File: file, Line: line, Column: column}, Message: message}}
	}
	if len(data) > maxBytes {
		return fail(0, 0, fmt.Sprintf("is larger than %d MB", maxBytes>>20))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line, column := badByte(data); line > 0 {
		return fail(line, column, "must be UTF-8 text without control characters")
	}
	if root := readPlain(file, data, env); root != nil {
		return root, nil
	}
	return readAny(file, data, env)
}

// readAny reads the whole of YAML, by the library.
func readAny(file string, data []byte, env Env) (*Node, Problems) {
	doc, at, err := parse(data)
	if err != nil {
		at.File = file
		return nil, Problems{{Pos: at, Message: err.Error()}}
	}
	t := tree{file: file, env: env, anchors: map[string]*Node{}}
	root := t.build(doc)
	if root.Pos.Line == 0 {
		root.Pos = Position{File: file, Line: 1, Column: 1}
	}
	return root, nil
}

// parse asks the library, behind bounds that keep its recursion small. A panic in it is a document that it cannot read.
func parse(data []byte) (body ast.Node, at Position, err error) {
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, errors.New("cannot be read as YAML")
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if tk := tooDeep(tokens); tk != nil {
		return nil, place(tk), fmt.Errorf("is nested more than %d deep", maxDepth)
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			return nil, place(y.GetToken()), fmt.Errorf("cannot be read as YAML: %s", y.GetMessage())
		}
		return nil, Position{}, errors.New("cannot be read as YAML")
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if d, ok := doc.Body.(*ast.DirectiveNode); ok {
			return nil, place(d.Start), errors.New("directives are not supported")
		}
		if body != nil {
			at := place(doc.Body.GetToken())
			if doc.Start != nil {
				at = place(doc.Start)
			}
			return nil, at, errors.New("a second document begins here; one file holds one document")
		}
		body = doc.Body
	}
	return body, Position{}, nil
}

func place(tk *token.Token) Position {
	if tk == nil || tk.Position == nil {
		return Position{}
	}
	return Position{Line: max(tk.Position.Line, 1), Column: max(tk.Position.Column, 1)}
}

// tooDeep finds the token at which the document is nested too deeply, before anything recurses over it. Block
// collections nest by column, flow collections by brackets, tags and anchors by standing in a row.
func tooDeep(tokens token.Tokens) *token.Token {
	var columns []int
	flow, row := 0, 0
	for i, tk := range tokens {
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.TagType, token.AnchorType:
			row++
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			column := tk.Position.Column
			if tk.Type == token.MappingValueType && i > 0 {
				column = tokens[i-1].Position.Column
			}
			if flow > 0 {
				break
			}
			for len(columns) > 0 && columns[len(columns)-1] >= column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, column)
			row = 0
		default:
			if tk.Type != token.StringType || i == 0 || tokens[i-1].Type != token.AnchorType {
				row = 0
			}
		}
		if flow+len(columns)+row > maxDepth {
			return tk
		}
	}
	return nil
}

// badByte is the place of the first byte that no text holds, or line 0.
func badByte(data []byte) (line, column int) {
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7f,
			r == '\r' && !bytes.HasPrefix(data[i:], []byte("\r\n")):
			return line, column
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		i += size
	}
	return 0, 0
}
