// Package telemetry turns ended exchanges into metrics and access log lines.
//
// Both are fed by one call at the end of an exchange and cost a few atomic additions and one copy: a route keeps a pointer
// to its own counters, so no request looks anything up by name, and a log line is formatted into memory that a goroutine
// of the log writes out.
package telemetry
