package main

import (
	"path/filepath"
	"testing"

	"github.com/sluice-gateway/sluice/registry/file"
)

func TestRelativePathsCountFromTheDocument(t *testing.T) {
	folder := t.TempDir()
	doc, err := parse(filepath.Join(folder, "sluice.yaml"), []byte(`
listeners: [{name: web, address: ":0"}]
registries: [{name: f, type: file, path: services}, {name: g, type: file, path: /abs}]
services: [{match: {service: a}, tls: {ca: ca.pem, cert: /abs/c.pem, key: k.pem}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	tls := doc.Services[0].TLS
	for got, want := range map[string]string{
		doc.Registries[0].Config.(*file.Config).Path: filepath.Join(folder, "services"),
		doc.Registries[1].Config.(*file.Config).Path: "/abs",
		tls.CA: filepath.Join(folder, "ca.pem"), tls.Cert: "/abs/c.pem", tls.Key: filepath.Join(folder, "k.pem"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
