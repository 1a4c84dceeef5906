// Package consul is the registry of HashiCorp Consul.
package consul
