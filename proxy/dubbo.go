package proxy

import (
	"errors"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
)

// definitions hands the catalogue's Dubbo definitions to transcoders.
type definitions struct {
	catalogue *discovery.Catalogue
}

func (c *compiler) dubbo(r *config.Route, reg string, built *compiled) (protocol.Handler, error) {
	return nil, errors.New("dubbo: not built in")
}
