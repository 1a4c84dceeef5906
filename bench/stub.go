package main

import "context"

func dubboCase(ctx context.Context, b *benchmark) error { return nil }
func appear(ctx context.Context, b *benchmark) error    { return nil }
