package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TLS is how a registry's servers are reached by TLS, the same section in every kind of registry. A section that is not
// there (nil) means no TLS, unless an address says https.
type TLS struct {
	// CA is a file of PEM certificates that sign the servers'; empty means the system's.
	CA string `yaml:"ca"`
	// ServerName is checked in the certificate, and sent as SNI; empty means the address's host.
	ServerName string `yaml:"serverName"`
	// Cert and Key are files of the client's certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// InsecureSkipVerify believes any certificate. For trying things out.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
}

// Validate names what is wrong, field by field. It reads no file.
func (t *TLS) Validate() error {
	if t == nil {
		return nil
	}
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("cert and key must be given together")
	}
	return nil
}

// Resolve makes relative files count from folder, where the document stands.
func (t *TLS) Resolve(folder string) {
	if t == nil {
		return
	}
	for _, path := range []*string{&t.CA, &t.Cert, &t.Key} {
		ResolvePath(path, folder)
	}
}

// ResolvePath makes a relative path count from folder; an empty one stays empty.
func ResolvePath(path *string, folder string) {
	if *path != "" && !filepath.IsAbs(*path) {
		*path = filepath.Join(folder, *path)
	}
}

// Config reads the files. Of a nil section it is the system's defaults. The client's certificate is read again at each
// handshake, so that one that was renewed is used without a reload.
func (t *TLS) Config() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return out, nil
	}
	out.ServerName, out.InsecureSkipVerify = t.ServerName, t.InsecureSkipVerify //nolint:gosec // by the user's own word
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &pair, err
		}
	}
	return out, nil
}
