package frame

// The statuses of an answer (org.apache.dubbo.remoting.exchange.Response). The body of any but StatusOK is one string.
const (
	StatusOK                  = 20
	StatusSerialization       = 25
	StatusClientTimeout       = 30
	StatusServerTimeout       = 31
	StatusChannelInactive     = 35
	StatusBadRequest          = 40
	StatusBadResponse         = 50
	StatusServiceNotFound     = 60
	StatusServiceError        = 70
	StatusServerError         = 80
	StatusClientError         = 90
	StatusThreadPoolExhausted = 100
)

// The first value in the body of an answer with StatusOK says what follows.
const (
	Exception = 0
	Value     = 1
	Null      = 2
	// Attached is what the kinds have more when attachments follow, which they may for clients of 2.0.2 and above.
	Attached = 3
)

// Version is the protocol's, sent with every request and answer. Providers add their attachments to answers for 2.0.2 and
// above, and versions of Dubbo itself ("3.3.6") in its place are refused.
const Version = "2.0.2"

// What every generic call is on the wire: the method, and its parameter types.
const (
	GenericMethod = "$invoke"
	GenericTypes  = "Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;"
)
