package consul

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxToken bounds a token file; a token is a UUID, or a JWT of a few kilobytes.
const maxToken = 64 << 10

// readToken is the token to use now.
func (c *Config) readToken() (string, error) {
	if c.TokenFile == "" {
		return c.Token, nil
	}
	info, err := os.Stat(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read tokenFile: %w", err)
	}
	if info.Size() > maxToken {
		return "", fmt.Errorf("read tokenFile: %s is larger than %d bytes", c.TokenFile, maxToken)
	}
	text, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read tokenFile: %w", err)
	}
	token := strings.TrimSpace(string(text))
	switch {
	case token == "":
		return "", fmt.Errorf("read tokenFile: %s is empty", c.TokenFile)
	case !headerSafe(token):
		return "", errors.New("read tokenFile: " + c.TokenFile + " holds more than a token")
	}
	return token, nil
}
