package testbed

// Option changes how a server is started.
type Option func(*options)

type options struct {
	user, password string
	jvm            []string
	consul         consulOptions
	cert, key      string
	eureka         eurekaOptions
}

func collect(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithJVM adds arguments of the Java virtual machine, for example "-Dzookeeper.maxCnxns=3".
func WithJVM(args ...string) Option {
	return func(o *options) { o.jvm = append(o.jvm, args...) }
}

// WithTLS makes an etcd or a Eureka speak TLS only, with these files of a certificate and its key.
func WithTLS(cert, key string) Option {
	return func(o *options) { o.cert, o.key = cert, key }
}

// WithAuth makes a server ask for this user and password. The user must be the only administrator that the server can set
// up by itself: "nacos" of a Nacos, "root" of an etcd, anyone of a Eureka.
func WithAuth(user, password string) Option {
	return func(o *options) { o.user, o.password = user, password }
}
