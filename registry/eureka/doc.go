// Package eureka is the registry of Netflix's Eureka, as Spring Cloud ships it (/eureka) and as Netflix does (/eureka/v2).
//
// Eureka cannot push, so one poller asks for everything once and then for what changed (/apps/delta), whatever the number of
// watches; they are all served from the one state in memory, and woken only when their service has changed. An answer is
// applied when it was read whole and agrees with the hash that the server sent with it, and not before.
//
// The client is our own: the ones for Go take an error page for an empty registry. The protocol is described in
// https://github.com/Netflix/eureka/wiki/Eureka-REST-operations; what that leaves open was read off Spring Cloud's server.
package eureka
