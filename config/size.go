package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// UnmarshalConfig reads a number of bytes, or a text with a unit.
func (s *Size) UnmarshalConfig(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 {
			return errors.New("must not be negative")
		}
		*s = Size(v)
		return nil
	case string:
		n, ok := parseSize(v)
		if ok {
			*s = n
			return nil
		}
	}
	return errors.New("must be a size such as 512B, 64KB, 10MB or 1GB, or a number of bytes")
}

func parseSize(text string) (Size, bool) {
	end := strings.LastIndexAny(text, "0123456789") + 1
	number, err := strconv.ParseFloat(text[:end], 64)
	if err != nil || strings.Trim(text[:end], "0123456789.") != "" {
		return 0, false
	}
	shift := 0
	switch strings.ToUpper(strings.TrimSpace(text[end:])) {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	default:
		return 0, false
	}
	if whole, err := strconv.ParseInt(text[:end], 10, 64); err == nil { // floats round above 2^53
		return Size(whole << shift), whole <= math.MaxInt64>>shift
	}
	bytes := number * float64(int64(1)<<shift)
	if bytes >= math.MaxInt64 || bytes != math.Trunc(bytes) {
		return 0, false
	}
	return Size(bytes), true
}

// String is the size with the largest unit that leaves a whole number.
func (s Size) String() string {
	units := []string{"B", "KB", "MB", "GB"}
	n, unit := int64(s), 0
	for n != 0 && n%1024 == 0 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + units[unit]
}
