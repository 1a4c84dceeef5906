// Package health asks instances now and then whether they are well, whatever traffic there is (active health checks): by
// HTTP, by a TCP connection, by gRPC's health service, or by Dubbo's heartbeat or $echo.
//
// A Checker does so for all instances of all services on one schedule, with as many goroutines as checks run. What it
// finds is a Target's, which its owner keeps; the balancer is told by the flag balance.Unhealthy.
//
// Every check has a connection of its own and is over in its timeout. An instance that lies, hangs or sends without end
// costs no more than that, and a few kilobytes.
package health
