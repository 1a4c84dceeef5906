package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newDemo() *cobra.Command {
	var address, management string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway with sample services, nothing else needed",
		Long: `demo starts, in this process, three instances of a sample HTTP service, a sample Dubbo provider, and the gateway in
front of them. They are found through files in a temporary folder, which you may edit meanwhile. Ctrl-C ends it and
removes the folder.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:8080", "where the gateway listens; another free port if that is taken")
	cmd.Flags().StringVar(&management, "admin", "127.0.0.1:9900", "the management address; another free port if that is taken")
	logger := logFlag(cmd, "error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		log, err := logger()
		if err != nil {
			return err
		}
		folder, err := os.MkdirTemp("", "sluice-demo-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		services, err := startSamples()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, services.stop()) }()
		d := demo{folder: folder, samples: services}
		if d.address, err = usable(address); err != nil {
			return err
		}
		if d.admin, err = usable(management); err != nil {
			return err
		}
		file, data, err := d.write()
		if err != nil {
			return err
		}
		doc, err := parse(file, data)
		if err != nil {
			return fmt.Errorf("read the demo's own configuration: %w", err)
		}
		p, err := start(doc, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		p.settle(cmd.Context())
		if err := d.explain(cmd.OutOrStdout()); err != nil {
			return err
		}
		p.follow(cmd.Context(), file, data, nil)
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nstopping, and removing "+folder)
		return err
	}
	return cmd
}

// settle waits until the gateway is ready, so that the very first request of whoever is fast is answered.
func (p *process) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready, _ := p.gateway.Ready(); ready {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// usable returns address, or the same host with a free port if somebody else has that one.
func usable(address string) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		host, _, splitErr := net.SplitHostPort(address)
		if splitErr != nil {
			return "", splitErr
		}
		if l, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	found := l.Addr().String()
	return found, l.Close()
}

// demo is one run.
type demo struct {
	folder, address, admin string
	samples                *samples
}

// write lays the configuration and the services' files out, and returns the configuration.
func (d *demo) write() (file string, data []byte, err error) {
	services := filepath.Join(d.folder, "services")
	if err := os.Mkdir(services, 0o755); err != nil {
		return "", nil, err
	}
	var hello strings.Builder
	hello.WriteString("# The instances of the service \"hello\". Delete a line, save, and the gateway stops using that instance at once.\nservices:\n  hello:\n")
	for _, a := range d.samples.addresses {
		hello.WriteString("    - " + a + "\n")
	}
	file = filepath.Join(d.folder, "sluice.yaml")
	data = []byte(fmt.Sprintf(demoDocument, d.address, d.admin))
	for path, content := range map[string][]byte{
		filepath.Join(services, "hello.yaml"):        []byte(hello.String()),
		filepath.Join(services, "users.yaml"):        []byte(fmt.Sprintf(demoUsers, d.samples.dubbo)),
		filepath.Join(services, "user-service.json"): d.samples.definition,
		file: data,
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return "", nil, err
		}
	}
	return file, data, nil
}

const demoDocument = `# The demo's configuration. Change it and save: the gateway applies it without losing a request.
listeners:
  - {name: web, address: %q}
admin: {address: %q}
accessLog: {path: "off"}

registries:
  - {name: folder, type: file, path: services/}

routes:
  - name: hello                    # HTTP to HTTP, every request to the least loaded instance
    match: {path: "/hello/**"}
    filters:
      - stripPrefix: {parts: 1}
      - setRequestHeader: {name: X-Gateway, value: sluice}
    to: {service: hello}

  - name: limited                  # the same service, one request a second
    match: {path: /limited}
    flowControl: {qps: 1}
    to: {service: hello}

  - name: get-user                 # REST to a Dubbo method
    match: {path: "/users/{id}", methods: [GET]}
    to: {dubbo: {interface: com.example.UserService, version: 1.0.0, method: getUser, args: ["{path.id}"]}}

  - name: create-user              # a JSON body becomes a Dubbo bean, its types checked on the way
    match: {path: /users, methods: [POST]}
    to: {dubbo: {interface: com.example.UserService, version: 1.0.0, method: createUser, args: ["{body}"]}}
`

const demoUsers = `# A Dubbo service with one provider. Its methods' types come from user-service.json, as they would from a metadata centre.
dubbo:
  - interface: com.example.UserService
    version: 1.0.0
    definition: user-service.json
    instances: [%q]
`

// explain tells what to try.
func (d *demo) explain(w io.Writer) error {
	base := "http://" + d.address
	_, err := fmt.Fprintf(w, `Sluice runs, with three instances of an HTTP service and a Dubbo provider, all in this process.

Try, in another terminal:

  # HTTP: each request goes to the least loaded of three instances
  curl -s %[1]s/hello/world

  # Dubbo as REST: the path becomes a Java long, the bean comes back as JSON
  curl -s %[1]s/users/42; echo

  # a JSON body becomes a Dubbo bean; try a wrong type, too
  curl -s -H 'Content-Type: application/json' -d '{"name":"Ada","age":36,"role":"ADMIN"}' %[1]s/users; echo
  curl -s -H 'Content-Type: application/json' -d '{"name":"Ada","age":"old"}' %[1]s/users; echo

  # one request a second is let through, the others get 429
  for i in 1 2 3; do curl -s -o /dev/null -w '%%{http_code}\n' %[1]s/limited; done

See an instance go and come back: delete a line of

  %[2]s

save it, and ask for /hello again. The routes are in

  %[3]s

What the gateway knows:  curl -s http://%[4]s/api/v1/status

Ctrl-C ends the demo and leaves nothing behind.
`, base, filepath.Join(d.folder, "services", "hello.yaml"), filepath.Join(d.folder, "sluice.yaml"), d.admin)
	return err
}
