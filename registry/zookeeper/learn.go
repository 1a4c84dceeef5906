package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// How long to wait between attempts to learn a revision.
const (
	firstAttempt = 100 * time.Millisecond
	lastAttempt  = 30 * time.Second
)

// errNoSource says that a revision's metadata is nowhere to be had.
var errNoSource = errors.New("not in the metadata centre, and no instance says where to ask")

// learn tries until the revision is known, or nobody wants it any more.
func (m *metadataStore) learn(ctx context.Context, i *info) {
	delay := firstAttempt
	for first := true; ; first = false {
		services, err := m.attempt(ctx, i)
		if m.conclude(i, services, err, first, ctx.Err() != nil) {
			return
		}
		m.complain(fmt.Errorf("metadata of %s, revision %s: %w", i.rev.app, clip(i.rev.id), err))
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-i.kick:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
		delay = min(2*delay, lastAttempt)
	}
}

// conclude takes an attempt's result and reports whether it was the last one.
func (m *metadataStore) conclude(i *info, services []dubbo.Exported, err error, first, stopping bool) (done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i.services, i.known, i.err = services, err == nil, err
	if first {
		close(i.tried)
	}
	if err == nil || first {
		for f := range i.users {
			f.poke()
		}
	}
	i.running = err != nil && len(i.users) > 0 && !stopping
	return !i.running
}

func (m *metadataStore) attempt(ctx context.Context, i *info) ([]dubbo.Exported, error) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	services, err := m.centre(ctx, i.rev)
	if services != nil {
		return services, nil
	}
	m.mu.Lock()
	candidates := slices.Clone(i.asked)
	m.mu.Unlock()
	if len(candidates) == 0 || m.fetcher == nil {
		if err == nil {
			err = errNoSource
		}
		return nil, err
	}
	for _, c := range candidates[:min(len(candidates), candidatesTried)] {
		if services, err = m.ask(ctx, i.rev, c); err == nil {
			return services, nil
		}
		m.mu.Lock()
		if at := slices.Index(i.asked, c); at >= 0 { // to the end: the next attempt asks others first
			i.asked = append(slices.Delete(i.asked, at, at+1), c)
		}
		m.mu.Unlock()
	}
	return nil, err
}

func (m *metadataStore) ask(ctx context.Context, rev revision, c dubbo.Source) ([]dubbo.Exported, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	data, err := m.fetcher.FetchMetadata(ctx, c.Protocol, c.Address, rev.app, rev.id)
	if err != nil {
		return nil, fmt.Errorf("ask %s://%s: %w", c.Protocol, c.Address, err)
	}
	services, err := dubbo.ParseMetadataInfo(data)
	if err != nil {
		return nil, fmt.Errorf("ask %s://%s: %w", c.Protocol, c.Address, err)
	}
	return services, nil
}

// centre looks where Java's and dubbo-go's providers store a revision; nil if it is in neither place.
func (m *metadataStore) centre(ctx context.Context, rev revision) ([]dubbo.Exported, error) {
	s, _ := m.tree.current()
	if s == nil {
		return nil, errLost
	}
	data, err := m.stored(ctx, s, rev)
	if err != nil {
		return nil, fmt.Errorf("read the metadata centre: %w", err)
	}
	if len(data) == 0 {
		return nil, nil
	}
	services, err := dubbo.ParseMetadataInfo(data)
	if err != nil {
		return nil, fmt.Errorf("read the metadata centre: %w", err)
	}
	return services, nil
}

func (m *metadataStore) stored(ctx context.Context, s *session, rev revision) ([]byte, error) {
	java := m.root + "/metadata/" + rev.app
	if rev.id == "" {
		return s.newest(ctx, java, rev.since)
	}
	if err := checkPart(rev.id); err != nil {
		return nil, fmt.Errorf("revision: %w", err)
	}
	data, err := s.peek(ctx, java+"/"+rev.id)
	if err != nil || len(data) > 0 {
		return data, err
	}
	return s.peek(ctx, m.root+"/"+rev.app+"/"+rev.id)
}
