package testbed

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// enableAuth makes the root user, and asks for it from now on.
func (e *Etcd) enableAuth(ctx context.Context) error {
	if e.user != "root" {
		return fmt.Errorf("etcd's first user is root, not %q", e.user)
	}
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"/v3/auth/user/add", map[string]any{"name": e.user, "password": e.password}},
		{"/v3/auth/role/add", map[string]any{"name": "root"}},
		{"/v3/auth/user/grant", map[string]any{"user": e.user, "role": "root"}},
		{"/v3/auth/enable", map[string]any{}},
	} {
		if _, err := e.do(ctx, http.MethodPost, step.path, step.body, ""); err != nil {
			return err
		}
	}
	return nil
}

// Call asks the server's JSON gateway, as the administrator where there is one, and decodes the answer into answer if
// that is not nil. Keys and values are []byte in body, as they are base64 in the gateway's JSON.
func (e *Etcd) Call(ctx context.Context, path string, body, answer any) error {
	token := ""
	if e.user != "" {
		var login struct {
			Token string `json:"token"`
		}
		text, err := e.do(ctx, http.MethodPost, "/v3/auth/authenticate", map[string]any{"name": e.user, "password": e.password}, "")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &login); err != nil {
			return fmt.Errorf("log in to etcd: %w", err)
		}
		token = login.Token
	}
	text, err := e.do(ctx, http.MethodPost, path, body, token)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("ask etcd %s: %w", path, err)
	}
	return nil
}

// Put stores one key.
func (e *Etcd) Put(ctx context.Context, key, value string) error {
	return e.Call(ctx, "/v3/kv/put", map[string]any{"key": []byte(key), "value": []byte(value)}, nil)
}

// Delete removes one key.
func (e *Etcd) Delete(ctx context.Context, key string) error {
	return e.Call(ctx, "/v3/kv/deleterange", map[string]any{"key": []byte(key)}, nil)
}

// Get reads one key; found is false when there is none.
func (e *Etcd) Get(ctx context.Context, key string) (value string, found bool, err error) {
	var answer struct {
		KVs []struct {
			Value string `json:"value"`
		} `json:"kvs"`
	}
	if err := e.Call(ctx, "/v3/kv/range", map[string]any{"key": []byte(key)}, &answer); err != nil || len(answer.KVs) == 0 {
		return "", false, err
	}
	text, err := base64.StdEncoding.DecodeString(answer.KVs[0].Value)
	return string(text), true, err
}

// Compact forgets all history up to the present revision.
func (e *Etcd) Compact(ctx context.Context) error {
	var answer struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := e.Call(ctx, "/v3/kv/range", map[string]any{"key": []byte("x")}, &answer); err != nil {
		return err
	}
	return e.Call(ctx, "/v3/kv/compaction", map[string]any{"revision": answer.Header.Revision, "physical": true}, nil)
}

// Leader reports whether this member leads its cluster.
func (e *Etcd) Leader(ctx context.Context) (bool, error) {
	var answer struct {
		Leader string `json:"leader"`
		Header struct {
			MemberID string `json:"member_id"`
		} `json:"header"`
	}
	err := e.Call(ctx, "/v3/maintenance/status", map[string]any{}, &answer)
	return answer.Leader == answer.Header.MemberID, err
}

func (e *Etcd) do(ctx context.Context, method, path string, body any, token string) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("ask etcd %s: %w", path, err)
	}
	scheme := "http://"
	if e.tls {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+e.Addr()+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("ask etcd %s: %w", path, err)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask etcd: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask etcd %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask etcd %s: %s: %s", path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}
