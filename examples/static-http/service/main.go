// Command service is what the example puts behind the gateway: an HTTP service that answers with its name.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"time"
)

func main() {
	name := flag.String("name", "one", "what it answers")
	address := flag.String("address", "127.0.0.1:9001", "where it listens")
	flag.Parse()
	server := http.Server{Addr: *address, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// A client that has gone needs no answer.
		_ = json.NewEncoder(w).Encode(map[string]string{"instance": *name, "path": r.URL.Path, "gateway": r.Header.Get("X-Gateway")})
	})}
	log.Fatal(server.ListenAndServe())
}
