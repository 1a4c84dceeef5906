package nacos

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the servers' scheme, not our choice
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// signer signs requests with an access key, in the way of Alibaba Cloud's MSE (its scheme without a region, which all its
// clients use by default): an HMAC-SHA1 over the time and what is asked for.
type signer struct{ accessKey, secretKey string }

// newSigner is nil when the section has no access key.
func newSigner(c *Config) (*signer, error) {
	if c.AccessKey == "" {
		return nil, nil //nolint:nilnil // nil is the signer that signs nothing
	}
	secret, err := secretOf("secretKeyFile", c.SecretKey, c.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	return &signer{c.AccessKey, secret}, nil
}

// sign adds the headers of a request about services or configuration; requests about the connection carry none.
func (s *signer) sign(headers map[string]string, request any, now time.Time) {
	if s == nil {
		return
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	switch r := request.(type) {
	case interface{ signedService() string }:
		data := stamp
		if name := r.signedService(); name != "" {
			data += "@@" + name
		}
		headers["ak"], headers["data"], headers["signature"] = s.accessKey, data, s.mac(data)
	case interface{ signedConfig() string }:
		data := stamp
		if resource := r.signedConfig(); resource != "" {
			data = resource + "+" + stamp
		}
		headers["Spas-AccessKey"], headers["Timestamp"], headers["Spas-Signature"] = s.accessKey, stamp, s.mac(data)
	}
}

func (s *signer) mac(data string) string {
	h := hmac.New(sha1.New, []byte(s.secretKey))
	_, _ = h.Write([]byte(data)) // never fails
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// What is signed of each request is what its server recomputes from it.
func (r *namingRequest) signedService() string {
	if r.GroupName == "" || strings.Contains(r.ServiceName, "@@") {
		return r.ServiceName
	}
	return r.GroupName + "@@" + r.ServiceName
}

func (*fuzzyWatch) signedService() string { return "" }

func (r *configRequest) signedConfig() string {
	if r.Tenant == "" {
		return r.Group
	}
	return r.Tenant + "+" + r.Group
}

func (*configListen) signedConfig() string { return "" }
