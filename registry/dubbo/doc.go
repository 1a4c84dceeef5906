// Package dubbo reads what Dubbo's providers write, which is the same in every registry: the URL of a provider (url.go,
// provider.go), the metadata of an application's instance (node.go), and MetadataInfo, which says what a revision of an
// application exports (metadatainfo.go). Java's Dubbo 2.6, 2.7 and 3 and dubbo-go write them, each a little differently.
//
// Where such things stand in a registry, and how it is watched, is that registry's own room.
package dubbo
