// Package outlier takes instances out of a service for a while whose answers are worse than those of the others, as the
// service's own requests show it (passive health checking).
//
// An Instance is what one instance of one service has shown, a Group is what the instances of a service share; both
// live in a store outside, so that neither a new configuration nor a blip of the registry makes the gateway forget. A
// Detector judges by one configuration. It tells the balancer by the flag balance.Ejected.
//
// An instance that is out comes back by a trial: when its time is over the flag is taken away until the next request
// goes there, and that one decides.
//
// The defaults follow Envoy's outlier detection and gRPC's A50 where these agree.
package outlier
