// Package flowcontrol holds traffic inside limits. Sentinel (sentinel-golang) counts and decides; this package is the only
// one that knows it.
//
// Sentinel keeps its rules, counters and logger in globals of the process, so one process has one set of them. An Engine
// shares that set by giving its resources a namespace: two gateways in one process do not count each other's requests.
// Nothing else of Sentinel is started: no log files, no exporter, no collectors of system metrics, no clock of its own.
//
// A route with rules carries a Guard, which holds everything prepared; a route without never comes here.
package flowcontrol
