package main

import "context"

func idle(ctx context.Context, b *benchmark) error      { return nil }
func start(ctx context.Context, b *benchmark) error     { return nil }
func reload(ctx context.Context, b *benchmark) error    { return nil }
func dubboCase(ctx context.Context, b *benchmark) error { return nil }
func appear(ctx context.Context, b *benchmark) error    { return nil }
