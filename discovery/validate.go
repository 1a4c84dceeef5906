package discovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// validate checks what specs say of each other.
func validate(specs map[string]Spec) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if err := specs[name].validate(name, specs); err != nil {
			errs = append(errs, fmt.Errorf("registry %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (s Spec) validate(name string, specs map[string]Spec) error {
	if len(s.Members) == 0 {
		if s.Config == nil {
			return errors.New("neither a registry of its own nor members")
		}
		return nil
	}
	if s.Config != nil {
		return errors.New("both a registry of its own and members")
	}
	for i, m := range s.Members {
		member, known := specs[m]
		switch {
		case m == name:
			return errors.New("it is a member of itself")
		case !known:
			return fmt.Errorf("there is no registry %q to merge", m)
		case len(member.Members) > 0:
			return fmt.Errorf("its member %q is a merged registry itself; name that one's members instead", m)
		case slices.Contains(s.Members[:i], m):
			return fmt.Errorf("member %q is named twice", m)
		}
	}
	return nil
}
