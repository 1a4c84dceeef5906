// Package certs keeps the certificates of a listener: read from files, chosen by the name that a client asks for, and
// read again when the files change, so that a renewed certificate is served without a reload and without losing a
// connection.
package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/filewatch"
)

// Store holds one listener's certificates.
type Store struct {
	section config.ListenerTLS
	logger  *slog.Logger
	base    *tls.Config
	current atomic.Pointer[loaded]
}

type loaded struct {
	config *tls.Config
	// expiry is when the first of the certificates ends.
	expiry time.Time
}

// Load reads the files of a section. protocols are offered by ALPN (RFC 7301), the preferred one first.
func Load(section config.ListenerTLS, protocols []string, logger *slog.Logger) (*Store, error) {
	s := &Store{section: section, logger: logger}
	s.base = &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		// Asked at every handshake, so that a change of files needs no new listener. The keys of session tickets stay those
		// of this one configuration, which Go rotates by itself.
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil },
	}
	if err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config is what a listener serves TLS with. It is the same all the time.
func (s *Store) Config() *tls.Config { return s.base }

// Section is what was loaded.
func (s *Store) Section() config.ListenerTLS { return s.section }

// Expiry is when the first of the certificates in use ends.
func (s *Store) Expiry() time.Time { return s.current.Load().expiry }

// read makes what is in the files current. What cannot be read changes nothing.
func (s *Store) read() error {
	next := &loaded{config: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.base.NextProtos}}
	if s.section.MinVersion == "1.3" {
		next.config.MinVersion = tls.VersionTLS13
	}
	for i, c := range s.section.Certificates {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return fmt.Errorf("certificates[%d]: %w", i, err)
		}
		if end := pair.Leaf.NotAfter; next.expiry.IsZero() || end.Before(next.expiry) {
			next.expiry = end
		}
		next.config.Certificates = append(next.config.Certificates, pair)
	}
	if len(next.config.Certificates) == 0 {
		return errors.New("certificates: is missing")
	}
	if s.section.ClientCA != "" {
		pem, err := os.ReadFile(s.section.ClientCA)
		if err != nil {
			return fmt.Errorf("clientCA: %w", err)
		}
		next.config.ClientCAs = x509.NewCertPool()
		if !next.config.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("clientCA: %s holds no certificate", s.section.ClientCA)
		}
	}
	switch s.section.ClientAuth {
	case "optional":
		next.config.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		next.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	s.current.Store(next)
	return nil
}

// Run reads the files again whenever they change, until ctx ends. While they cannot be read, as in the middle of a
// renewal, what was read before is served on.
func (s *Store) Run(ctx context.Context) {
	var last [sha256.Size]byte
	w := filewatch.Watcher{
		Check: func() []string {
			paths := s.paths()
			seen := fingerprint(paths)
			if seen == last {
				return paths
			}
			last = seen
			if err := s.read(); err != nil {
				s.logger.Error("certificates were not read again; those before serve on", "error", err)
			} else {
				s.logger.Info("certificates read", "expiry", s.Expiry())
			}
			return paths
		},
		Warn: func(err error) { s.logger.Warn("watch certificates", "error", err) },
	}
	w.Run(ctx)
}

func (s *Store) paths() []string {
	var out []string
	for _, c := range s.section.Certificates {
		out = append(out, c.Cert, c.Key)
	}
	if s.section.ClientCA != "" {
		out = append(out, s.section.ClientCA)
	}
	return out
}

// fingerprint tells one state of files from another, without keeping the keys in them.
func fingerprint(paths []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			b = []byte(err.Error())
		}
		one := sha256.Sum256(b)
		h.Write(one[:])
	}
	h.Sum(sum[:0])
	return sum
}
