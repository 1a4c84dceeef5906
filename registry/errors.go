package registry

import "errors"

// ErrNotListable is returned by WatchServices of a registry that cannot list its services.
var ErrNotListable = errors.New("registry cannot list its services")
