package proxy

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/grpc"
)

// loadPatience bounds the reading of descriptors that a document names as files.
const loadPatience = 10 * time.Second

// grpc puts around a target what turns other ways of calling into gRPC.
func (c *compiler) grpc(r *config.Route, end protocol.Handler, built *compiled) (protocol.Handler, error) {
	g := r.To.GRPC
	limit := int(g.MessageBytes)
	h := grpc.Native{MessageLimit: limit}.Filter(end)
	if g.Transcode {
		logger := c.gateway.logger.With("route", r.Name)
		descriptors := grpc.NewDescriptors(descriptorSource(r, end), g.Refresh, logger)
		built.release = append(built.release, descriptors.Close)
		if g.Descriptors != "" || g.Protos != "" { // files can be judged now, what servers say only when they are there
			ctx, cancel := context.WithTimeout(context.Background(), loadPatience)
			defer cancel()
			if err := descriptors.Load(ctx); err != nil {
				return nil, fmt.Errorf("grpc: %w", err)
			}
		}
		transcoder, err := grpc.NewTranscoder(grpc.Route{
			Services: g.Services, MessageLimit: limit,
			JSON: grpc.JSON{
				ProtoNames: g.JSON.ProtoNames, EnumNumbers: g.JSON.EnumNumbers, Int64Numbers: g.JSON.Int64Numbers,
				Unset: g.JSON.Unset, IgnoreUnknown: g.JSON.IgnoreUnknown,
			},
		}, descriptors, logger)
		if err != nil {
			return nil, fmt.Errorf("grpc: %w", err)
		}
		h = transcoder.Filter(h)
	}
	if g.Web {
		h = grpc.Web(grpc.Connect(limit)(h))
	}
	return h, nil
}

func descriptorSource(r *config.Route, end protocol.Handler) grpc.Source {
	g := r.To.GRPC
	switch {
	case g.Descriptors != "":
		return grpc.SetFile(g.Descriptors)
	case g.Protos != "":
		return grpc.ProtoFolder(g.Protos)
	}
	return &grpc.Reflection{Target: end, Authority: r.To.Service, Services: g.Services}
}
