package testbed

// Option changes how a server is started.
type Option func(*options)

type options struct {
	user, password string
	jvm            []string
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

// WithAuth makes a Nacos ask for this user and password. The user must be "nacos", the only administrator that the
// server can set up by itself.
func WithAuth(user, password string) Option {
	return func(o *options) { o.user, o.password = user, password }
}
