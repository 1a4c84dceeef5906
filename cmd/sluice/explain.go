package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-gateway/sluice/admin"
	"github.com/sluice-gateway/sluice/config"
)

// explaining is the command line of explain.
type explaining struct {
	file, admin     string
	headers         []string
	client, request string
	failed          int
	json            bool
	timeout         time.Duration
}

func newExplain() *cobra.Command {
	var e explaining
	cmd := &cobra.Command{
		Use:   "explain [METHOD] URL",
		Short: "Ask a running gateway where a request would go, or where one went, and why",
		Long: `explain asks a running gateway, by its management address, what would become of a request: which route takes it and why,
why other routes do not, and which instances could get it. Nothing is sent to any service.

URL is whole (http://shop.example.com/orders/1) or a path, whose host is given by -H 'Host: shop.example.com'. METHOD is GET
unless given. The exit status is 1 when no route takes the request.

With --request it tells what became of a request that has ended, by its X-Request-Id, and with --failed which requests
failed or were tried again lately. The gateway remembers the last admin.recent requests (1024) that had an id or failed.

The management address is admin.address of the configuration file, or --admin.`,
		Example: `  sluice explain http://shop.example.com/orders/1
  sluice explain POST /orders -H 'Host: shop.example.com' -H 'X-Version: 2'
  sluice explain --request 5f2b8c1e-8a4d-4b6f-9d53-0d1b5f0f5a11
  sluice explain --failed 10 --admin 10.0.0.5:9900`,
		Args: cobra.MaximumNArgs(2),
		RunE: e.run,
	}
	fileFlag(cmd, &e.file)
	flags := cmd.Flags()
	flags.StringVar(&e.admin, "admin", "", "the gateway's management address, host:port; the configuration file is not read then")
	flags.StringArrayVarP(&e.headers, "header", "H", nil, "a header field of the request, 'Name: value'; may be repeated")
	flags.StringVar(&e.client, "client", "", "the address that the request would come from")
	flags.StringVar(&e.request, "request", "", "tell what became of the request with this X-Request-Id")
	flags.IntVar(&e.failed, "failed", 0, "list the last `N` requests that failed or were tried again")
	flags.BoolVar(&e.json, "json", false, "print the gateway's answer as it is")
	flags.DurationVar(&e.timeout, "timeout", 10*time.Second, "how long the gateway may take to answer")
	return cmd
}

func (e *explaining) run(cmd *cobra.Command, args []string) error {
	query, err := e.query(args)
	if err != nil {
		return err
	}
	address, err := e.address(cmd.Flags().Changed("config"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), e.timeout)
	defer cancel()
	body, err := ask(ctx, address, query)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	past := e.request != "" || e.failed > 0
	var text string
	ok := true
	if past {
		text, err = e.past(body)
	} else {
		text, ok, err = e.future(body)
	}
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", address, err)
	}
	if e.json {
		text = string(body)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if !ok {
		return errSaid
	}
	return nil
}

func (e *explaining) future(body []byte) (text string, ok bool, err error) {
	var doc admin.Explanation
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", false, err
	}
	var b bytes.Buffer
	writeExplanation(&b, &doc)
	return b.String(), doc.Matched, nil
}

func (e *explaining) past(body []byte) (string, error) {
	var doc admin.Remembered
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", err
	}
	var b bytes.Buffer
	writeRemembered(&b, &doc, e.request != "")
	return b.String(), nil
}

// query is the question as the management address wants it.
func (e *explaining) query(args []string) (url.Values, error) {
	q := url.Values{}
	switch {
	case e.request != "" && e.failed > 0:
		return nil, errors.New("--request and --failed are two questions; ask one")
	case (e.request != "" || e.failed > 0) && len(args) > 0:
		return nil, errors.New("a method and a URL ask what would happen, --request and --failed what has happened; ask one")
	case e.request != "":
		q.Set("request", e.request)
		return q, nil
	case e.failed > 0:
		q.Set("failed", strconv.Itoa(e.failed))
		return q, nil
	case len(args) == 0:
		return nil, errors.New("say which request: sluice explain GET http://host/path, or --request ID, or --failed 10")
	case len(args) == 1:
		q.Set("url", args[0])
	default:
		q.Set("method", args[0])
		q.Set("url", args[1])
	}
	for _, h := range e.headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("-H %q is not 'Name: value'", h)
		}
		q.Add("header", h)
	}
	if e.client != "" {
		q.Set("client", e.client)
	}
	return q, nil
}

// address is where the gateway's management answers. A file that is not there is no trouble unless it was named: whoever is
// on call may be on the machine but not in its folder.
func (e *explaining) address(named bool) (string, error) {
	if e.admin != "" {
		address, err := reachable(e.admin)
		if err != nil {
			return "", fmt.Errorf("--admin: %w", err)
		}
		return address, nil
	}
	preset := config.Document{}
	preset.SetDefaults()
	data, err := os.ReadFile(e.file)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return preset.Admin.Address, nil
	}
	if err != nil {
		return "", err
	}
	parts := components()
	doc, mistakes := config.Parse(e.file, data, parts.Kinds())
	switch {
	case doc == nil:
		return "", fmt.Errorf("%s has %d mistakes (see sluice check), so its management address is not known; give --admin", e.file, len(mistakes))
	case doc.Admin.Address == "off":
		return "", fmt.Errorf("admin.address is off in %s; a gateway without a management address cannot be asked", e.file)
	}
	return reachable(doc.Admin.Address)
}

// reachable is an address of this machine where the document names every one of its interfaces.
func reachable(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if err == nil && ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// ask gets one explanation.
func ask(ctx context.Context, address string, query url.Values) ([]byte, error) {
	const most = 16 << 20
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/explain?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy: it is this machine, or one beside it
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		said, _, _ := strings.Cut(string(body[:min(len(body), 500)]), "\n")
		if resp.StatusCode == http.StatusNotFound && strings.HasPrefix(said, "404 page not found") {
			said = "this gateway has no explain; it is older than this command, or something else answers there"
		}
		return nil, errors.New(printable(said))
	}
	return body, nil
}
