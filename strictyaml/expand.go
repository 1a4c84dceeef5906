package strictyaml

import (
	"fmt"
	"strings"
)

// expand fills in ${NAME} and ${NAME:-default}; the default also stands for an empty variable, as in a shell. "$${" is a
// literal "${". What is not the name of a variable, such as ${1}, is left alone. What a variable holds is not expanded
// again.
func expand(s string, env Env) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for {
		start := strings.Index(s, "${")
		if start < 0 {
			break
		}
		if start > 0 && s[start-1] == '$' {
			b.WriteString(s[:start-1] + "${")
			s = s[start+2:]
			continue
		}
		b.WriteString(s[:start])
		s = s[start:]
		name, fallback, hasFallback, size := variable(s)
		if size == 0 {
			b.WriteString("${")
			s = s[2:]
			continue
		}
		value, ok := env(name)
		switch {
		case hasFallback && value == "":
			value = fallback
		case !ok:
			return "", fmt.Errorf("variable %s is not set; write ${%s:-...} to give a default, or $${ for a literal ${", name, name)
		}
		b.WriteString(value)
		s = s[size:]
	}
	b.WriteString(s)
	return b.String(), nil
}

// variable reads the form at the start of s; size 0 says that it is none.
func variable(s string) (name, fallback string, hasFallback bool, size int) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return "", "", false, 0
	}
	name, fallback, hasFallback = strings.Cut(s[2:end], ":-")
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return "", "", false, 0
		}
	}
	if name == "" {
		return "", "", false, 0
	}
	return name, fallback, hasFallback, end + 1
}
