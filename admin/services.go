package admin

import "net/http"

// The answer of /api/v1/services. Its names are stable; members may be added.
type (
	servicesDoc struct {
		Services []serviceLine `json:"services"`
	}
	serviceLine struct {
		Name      string `json:"name"`
		Registry  string `json:"registry"`
		Kind      string `json:"kind"`
		Answered  bool   `json:"answered"`
		Instances int    `json:"instances"`
		Excluded  int    `json:"excluded"`
		Skipped   int    `json:"skipped"`
	}
)

// services lists the services in use, in a line each.
func (s *Server) services(w http.ResponseWriter, _ *http.Request) {
	doc := servicesDoc{Services: []serviceLine{}}
	for _, svc := range s.gateway.Services() {
		doc.Services = append(doc.Services, serviceLine{
			Name: svc.Key.Service.String(), Registry: svc.Key.Registry, Kind: svc.Key.Service.Kind.String(), Answered: svc.Answered,
			Instances: len(svc.Instances), Excluded: len(svc.Excluded), Skipped: svc.Skipped,
		})
	}
	writeJSON(w, http.StatusOK, doc)
}

// service shows one service whole, in each registry that routes use it from; ?registry= asks for one of them.
func (s *Server) service(w http.ResponseWriter, r *http.Request) {
	name, only := r.PathValue("name"), r.URL.Query().Get("registry")
	doc := struct {
		Services []serviceDoc `json:"services"`
	}{Services: []serviceDoc{}}
	for _, svc := range s.gateway.Services() {
		if svc.Key.Service.String() == name && (only == "" || only == svc.Key.Registry) {
			doc.Services = append(doc.Services, serviceOf(svc))
		}
	}
	if len(doc.Services) == 0 {
		writeText(w, http.StatusNotFound, "no route uses a service of this name; /api/v1/services lists those in use\n")
		return
	}
	writeJSON(w, http.StatusOK, doc)
}
