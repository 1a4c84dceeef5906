package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/provider"
)

// samples are the demo's services.
type samples struct {
	addresses  []string // of the HTTP service's instances
	dubbo      string   // address of the Dubbo provider
	definition []byte   // of its service

	servers  []*http.Server
	provider *provider.Server
	tasks    sync.WaitGroup
}

// instances is how many instances the HTTP service has.
const instances = 3

func startSamples() (*samples, error) {
	s := &samples{}
	for n := range instances {
		l, err := loopback()
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		server := &http.Server{Handler: hello(n + 1), ReadHeaderTimeout: 10 * time.Second}
		s.servers = append(s.servers, server)
		s.addresses = append(s.addresses, l.Addr().String())
		s.tasks.Go(func() { _ = server.Serve(l) }) // ends with ErrServerClosed
	}
	users := userService()
	s.definition = users.Definition()
	p, err := provider.New(provider.Config{Services: []*provider.Service{users}})
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.provider = p
	l, err := loopback()
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.dubbo = l.Addr().String()
	s.tasks.Go(func() { _ = p.Serve(l) }) // ends with ErrStopped
	return s, nil
}

func loopback() (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

func (s *samples) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Shutdown(ctx))
	}
	if s.provider != nil {
		errs = append(errs, s.provider.Shutdown(ctx, nil))
	}
	s.tasks.Wait()
	return errors.Join(errs...)
}

// hello answers with which instance it is.
func hello(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{ // a client that has gone needs no answer
			"message": "hello from instance " + fmt.Sprint(n), "instance": n, "path": r.URL.Path, "gateway": r.Header.Get("X-Gateway"),
		})
	})
}

// user is the bean of the sample Dubbo service.
type user struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Age  int    `json:"age"`
	Role string `json:"role,omitempty"`
}

func userService() *provider.Service {
	const bean = "com.example.User"
	return &provider.Service{
		Interface: "com.example.UserService", Version: "1.0.0",
		Methods: []provider.Method{
			{Name: "getUser", Params: []string{"long"}, Returns: bean, Call: func(_ context.Context, args []json.RawMessage) (any, error) {
				u := user{Name: "Grace", Age: 37, Role: "MEMBER"}
				if err := json.Unmarshal(args[0], &u.ID); err != nil {
					return nil, err
				}
				if u.ID <= 0 {
					return nil, &provider.Exception{Class: "com.example.NoSuchUserException", Message: fmt.Sprintf("there is no user %d", u.ID)}
				}
				return u, nil
			}},
			{Name: "createUser", Params: []string{bean}, Returns: bean, Call: func(_ context.Context, args []json.RawMessage) (any, error) {
				u := user{Role: "MEMBER"}
				if err := json.Unmarshal(args[0], &u); err != nil {
					return nil, err
				}
				u.ID = 1 + time.Now().Unix()%1000
				return u, nil
			}},
		},
		Beans: []provider.Bean{
			{Name: bean, Properties: map[string]string{"id": "long", "name": "java.lang.String", "age": "int", "role": "com.example.Role"}},
			{Name: "com.example.Role", Enums: []string{"MEMBER", "ADMIN"}},
		},
	}
}
