package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// Validate checks what is asked of instances.
func (s *Subset) Validate() error {
	var errs []error
	if len(s.Metadata) == 0 {
		errs = append(errs, missing("metadata"))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
		if s.Metadata[key] == "" {
			errs = append(errs, fmt.Errorf("metadata: %q has no value", key))
		}
	}
	if words := []string{"any", "none"}; s.Fallback != "" && !contains(words, s.Fallback) {
		errs = append(errs, fmt.Errorf("fallback: %s", strictyaml.Unknown("word", s.Fallback, words)))
	}
	return errors.Join(errs...)
}

// Validate checks the weight.
func (s *Split) Validate() error {
	if s.Weight < 0 || s.Weight > 1_000_000 {
		return errors.New("weight: must be from 0 to 1000000")
	}
	return nil
}

// Validate checks that descriptors come from one place.
func (g *GRPC) Validate() error {
	var errs []error
	if g.Descriptors != "" && g.Protos != "" {
		errs = append(errs, errors.New("protos: cannot stand beside descriptors"))
	}
	if !g.Transcode && (g.Descriptors != "" || g.Protos != "" || len(g.Services) > 0 || g.JSON != GRPCJSON{}) {
		errs = append(errs, errors.New("transcode: must be true for descriptors, protos, services and json to have a meaning"))
	}
	if g.MessageBytes < 1 {
		errs = append(errs, errors.New("messageBytes: must be at least 1"))
	}
	return errors.Join(errs...)
}

// Validate checks the service and the share.
func (m *Mirror) Validate() error {
	var errs []error
	if m.Service == "" {
		errs = append(errs, missing("service"))
	}
	if !(m.Share > 0 && m.Share <= 1) {
		errs = append(errs, errors.New("share: must be more than 0, and at most 1"))
	}
	return errors.Join(errs...)
}

// traffic checks how a target's parts go together.
func (t *Target) traffic() (errs []error) {
	sum := 0
	for i := range t.Split {
		sum += t.Split[i].Weight
		if t.Split[i].Service == "" && t.Service == "" {
			errs = append(errs, fmt.Errorf("split[%d].service: is missing, and the route has none either", i))
		}
	}
	if len(t.Split) > 0 && sum == 0 {
		errs = append(errs, errors.New("split: all weights are 0, so that no request could go anywhere"))
	}
	if len(t.Split) > 0 && t.Subset != nil {
		errs = append(errs, errors.New("subset: cannot stand beside split; give each part its own"))
	}
	if t.Dubbo != nil {
		for key, given := range map[string]bool{"split": len(t.Split) > 0, "subset": t.Subset != nil, "mirror": t.Mirror != nil, "grpc": t.GRPC != nil} {
			if given {
				errs = append(errs, fmt.Errorf("%s: cannot stand beside dubbo yet", key))
			}
		}
	}
	return errs
}

// parts checks what the parts of a target name elsewhere.
func (r *reader) parts(at string, to *Target, bound []string, registries *names) {
	named := func(at, registry string) {
		if registry != "" && !registries.has(registry) {
			r.complain("%s.registry: %s", at, strictyaml.Unknown("registry", registry, registries.list))
		}
	}
	subset := func(at string, s *Subset) {
		if s == nil {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
			if err := argument(s.Metadata[key], bound); err != nil {
				r.complain("%s.subset.metadata.%s: %w", at, key, err)
			}
		}
	}
	subset(at, to.Subset)
	for i := range to.Split {
		part := fmt.Sprintf("%s.split[%d]", at, i)
		named(part, to.Split[i].Registry)
		subset(part, to.Split[i].Subset)
		if len(captures(to.Split[i].Service)) > 0 || len(captures(to.Service)) > 0 {
			r.complain("%s: a service with captures of the path cannot be split", part)
		}
	}
	if to.Mirror != nil {
		named(at+".mirror", to.Mirror.Registry)
		subset(at+".mirror", to.Mirror.Subset)
	}
}

// validate checks that the policy can work.
func (b *Balance) validate() (errs []error) {
	policies := []string{"peakEWMA", "leastRequest", "roundRobin", "random", "ringHash", "maglev", "orca"}
	hashes := b.Policy == "ringHash" || b.Policy == "maglev"
	switch {
	case !contains(policies, b.Policy):
		errs = append(errs, fmt.Errorf("balance.policy: %s", strictyaml.Unknown("policy", b.Policy, policies)))
	case hashes && len(b.Hash) == 0:
		errs = append(errs, fmt.Errorf(`balance.hash: is missing; %s needs to know what to go by, such as "{header.X-User}"`, b.Policy))
	case !hashes && len(b.Hash) > 0:
		errs = append(errs, fmt.Errorf("balance.hash: means nothing to %s; ringHash and maglev go by it", b.Policy))
	case hashes && b.SlowStart > 0:
		errs = append(errs, fmt.Errorf("balance.slowStart: cannot stand beside %s, which sends a key where it belongs at once", b.Policy))
	}
	for i, text := range b.Hash {
		if err := hashed(text); err != nil {
			errs = append(errs, fmt.Errorf("balance.hash[%d]: %w", i, err))
		}
	}
	if b.Sticky != nil && !token(b.Sticky.Cookie) {
		errs = append(errs, fmt.Errorf("balance.sticky.cookie: %q cannot be a cookie's name", b.Sticky.Cookie))
	}
	if !(b.PanicThreshold >= 0 && b.PanicThreshold <= 1) {
		errs = append(errs, errors.New("balance.panicThreshold: must be a share from 0 to 1"))
	}
	return errs
}

// hashed checks one entry of hash.
func hashed(text string) error {
	inner, ok := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	source, name, _ := strings.Cut(inner, ".")
	switch sources := []string{"header", "cookie", "query", "path", "client"}; {
	case !ok || !closed:
		return fmt.Errorf(`must be taken from the request, as in "{header.X-User}"; %q is the same for all`, text)
	case !contains(sources, source):
		return errors.New(strictyaml.Unknown("source", source, sources))
	case (source == "client") != (name == ""):
		return fmt.Errorf("%q: a header, cookie, query or path needs a name, client has none", text)
	}
	return nil
}
