package main

import (
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/cors"
	"github.com/sluice-gateway/sluice/proxy/filter/fixedresponse"
	"github.com/sluice-gateway/sluice/proxy/filter/header"
	"github.com/sluice-gateway/sluice/proxy/filter/redirect"
	"github.com/sluice-gateway/sluice/proxy/filter/requestsize"
	"github.com/sluice-gateway/sluice/proxy/filter/rewrite"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/consul"
	"github.com/sluice-gateway/sluice/registry/dns"
	"github.com/sluice-gateway/sluice/registry/etcd"
	"github.com/sluice-gateway/sluice/registry/eureka"
	"github.com/sluice-gateway/sluice/registry/file"
	"github.com/sluice-gateway/sluice/registry/nacos"
	"github.com/sluice-gateway/sluice/registry/static"
	"github.com/sluice-gateway/sluice/registry/zookeeper"
)

// components is the whole program: every filter, registry and protocol that this binary has. A new plug-in is one folder
// and one line here.
func components() proxy.Components {
	return proxy.Components{
		Filters: map[string]func() filter.Config{
			"addRequestHeader":     func() filter.Config { return header.Add(header.Request) },
			"addResponseHeader":    func() filter.Config { return header.Add(header.Response) },
			"cors":                 func() filter.Config { return cors.Default() },
			"fixedResponse":        func() filter.Config { return fixedresponse.Default() },
			"prefixPath":           func() filter.Config { return &rewrite.Prefix{} },
			"redirect":             func() filter.Config { return redirect.Default() },
			"removeRequestHeader":  func() filter.Config { return header.Remove(header.Request) },
			"removeResponseHeader": func() filter.Config { return header.Remove(header.Response) },
			"requestSize":          func() filter.Config { return requestsize.Default() },
			"rewritePath":          func() filter.Config { return &rewrite.Path{} },
			"setRequestHeader":     func() filter.Config { return header.Set(header.Request) },
			"setResponseHeader":    func() filter.Config { return header.Set(header.Response) },
			"stripPrefix":          func() filter.Config { return rewrite.DefaultStrip() },
		},
		Registries: map[string]func() registry.Config{
			"consul":    func() registry.Config { return consul.Default() },
			"dns":       func() registry.Config { return dns.Default() },
			"etcd":      func() registry.Config { return etcd.Default() },
			"eureka":    func() registry.Config { return eureka.Default() },
			"file":      func() registry.Config { return file.Default() },
			"nacos":     func() registry.Config { return nacos.Default() },
			"static":    func() registry.Config { return static.Default() },
			"zookeeper": func() registry.Config { return zookeeper.Default() },
		},
		Dialers: map[string]upstream.Dialer{
			"http1": upstream.HTTP1(),
			"https": upstream.HTTP1(),
			"dubbo": upstream.Dubbo(),
			"h2c":   upstream.HTTP2(false),
			"grpc":  upstream.HTTP2(false), // what gRPC's instances call it in registries
			"h2":    upstream.HTTP2(true),
		},
	}
}
