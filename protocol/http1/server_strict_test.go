package http1

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestMalformedRequestsAreRefused is the corpus of what two parties could understand in two ways. Behind each request comes
// a second one, which must never be answered.
func TestMalformedRequestsAreRefused(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, dumpHandler)
	const host = "Host: a\r\n"
	const post = "POST / HTTP/1.1\r\n" + host
	const chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, tc := range map[string]struct {
		send   string
		status int
	}{
		"length and coding":              {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"coding and length":              {post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		"two lengths":                    {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400},
		"two equal lengths":              {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
		"length list":                    {post + "Content-Length: 5, 5\r\n\r\nhello", 400},
		"plus length":                    {post + "Content-Length: +5\r\n\r\nhello", 400},
		"minus length":                   {post + "Content-Length: -5\r\n\r\nhello", 400},
		"hex length":                     {post + "Content-Length: 0x5\r\n\r\nhello", 400},
		"empty length":                   {post + "Content-Length:\r\n\r\nhello", 400},
		"blank in length":                {post + "Content-Length: 1 1\r\n\r\nhello", 400},
		"huge length":                    {post + "Content-Length: 99999999999999999999\r\n\r\nhello", 400},
		"unknown coding":                 {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"chunked not last":               {post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
		"chunked twice":                  {post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
		"two codings":                    {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"identity":                       {post + "Transfer-Encoding: identity\r\n\r\n", 400},
		"quoted chunked":                 {post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
		"xchunked":                       {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
		"vertical tab chunked":           {post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
		"coding in 1.0":                  {"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"blank before colon":             {post + "Content-Length : 5\r\n\r\nhello", 400},
		"tab before colon":               {post + "Transfer-Encoding\t: chunked\r\n\r\n", 400},
		"folded field":                   {post + "X: a\r\n b\r\n\r\n", 400},
		"first line folded":              {"GET / HTTP/1.1\r\n " + host + "\r\n", 400},
		"bare LF in fields":              {"GET / HTTP/1.1\r\n" + host + "X: a\nY: b\r\n\r\n", 400},
		"bare LF after line":             {"GET / HTTP/1.1\n" + host + "\r\n", 400},
		"bare LF at the end":             {"GET / HTTP/1.1\r\n" + host + "\n", 400},
		"only LF":                        {"\nGET / HTTP/1.1\r\n" + host + "\r\n", 400},
		"bare CR in value":               {"GET / HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", 400},
		"bare CR at line end":            {"GET / HTTP/1.1\r\n" + host + "X: a\r\r\n\r\n", 400},
		"NUL in value":                   {"GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", 400},
		"DEL in value":                   {"GET / HTTP/1.1\r\n" + host + "X: a\x7fb\r\n\r\n", 400},
		"escape in long value":           {"GET / HTTP/1.1\r\n" + host + "X: aaaaaaaaaaaaaaaaaaaaaaa\x1b\r\n\r\n", 400},
		"empty name":                     {"GET / HTTP/1.1\r\n" + host + ": a\r\n\r\n", 400},
		"no colon":                       {"GET / HTTP/1.1\r\n" + host + "abc\r\n\r\n", 400},
		"bad name":                       {"GET / HTTP/1.1\r\n" + host + "a(b: c\r\n\r\n", 400},
		"high octet in name":             {"GET / HTTP/1.1\r\n" + host + "a\xe9: c\r\n\r\n", 400},
		"no host":                        {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		"empty host":                     {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		"host with path":                 {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		"host with user":                 {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
		"host with blank":                {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"host with bad port":             {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400},
		"host with letters as port":      {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400},
		"host with broken v6":            {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		"target and host differ":         {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"absolute with other scheme":     {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"absolute without host":          {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"relative target":                {"GET a HTTP/1.1\r\n" + host + "\r\n", 400},
		"star for GET":                   {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
		"fragment":                       {"GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
		"high octet in target":           {"GET /\xc3\xa9 HTTP/1.1\r\n" + host + "\r\n", 400},
		"two blanks":                     {"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
		"tab as blank":                   {"GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400},
		"blank in target":                {"GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
		"blank at line end":              {"GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
		"no version":                     {"GET /\r\n" + host + "\r\n", 400},
		"lower case version":             {"GET / http/1.1\r\n" + host + "\r\n", 400},
		"long version":                   {"GET / HTTP/1.10\r\n" + host + "\r\n", 400},
		"version 2":                      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
		"version 1.2":                    {"GET / HTTP/1.2\r\n" + host + "\r\n", 505},
		"version 0.9":                    {"GET / HTTP/0.9\r\n" + host + "\r\n", 505},
		"HTTP/2 preface":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"bad method":                     {"G{T / HTTP/1.1\r\n" + host + "\r\n", 400},
		"TLS hello":                      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		"CONNECT":                        {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
		"NUL in path":                    {"GET /a%00b HTTP/1.1\r\n" + host + "\r\n", 400},
		"backslash in path":              {"GET /a\\b HTTP/1.1\r\n" + host + "\r\n", 400},
		"bad escape":                     {"GET /a%zz HTTP/1.1\r\n" + host + "\r\n", 400},
		"short escape":                   {"GET /a%4 HTTP/1.1\r\n" + host + "\r\n", 400},
		"dots with parameter":            {"GET /a/..;/b HTTP/1.1\r\n" + host + "\r\n", 400},
		"many Connection":                {"GET / HTTP/1.1\r\n" + host + strings.Repeat("Connection: a\r\n", 5) + "\r\n", 400},
		"chunk size missing":             {chunked + "\r\n\r\n", 400},
		"chunk size not hex":             {chunked + "xyz\r\n\r\n", 400},
		"chunk size signed":              {chunked + "-1\r\n\r\n", 400},
		"chunk size prefixed":            {chunked + "0x5\r\nhello\r\n0\r\n\r\n", 400},
		"chunk size too long":            {chunked + "ffffffffffffffff1\r\n", 400},
		"chunk size with blank":          {chunked + "5 \r\nhello\r\n0\r\n\r\n", 400},
		"chunk ends with LF":             {chunked + "5\nhello\r\n0\r\n\r\n", 400},
		"chunk longer than said":         {chunked + "4\r\nhello\r\n0\r\n\r\n", 400},
		"chunk data ends with LF":        {chunked + "5\r\nhello\n0\r\n\r\n", 400},
		"extension too long":             {chunked + "5;a=" + strings.Repeat("b", 300) + "\r\nhello\r\n0\r\n\r\n", 400},
		"extension with bare CR":         {chunked + "5;a=\rb\r\nhello\r\n0\r\n\r\n", 400},
		"many extensions":                {chunked + strings.Repeat("1;"+strings.Repeat("b", 200)+"\r\nx\r\n", 60) + "0\r\n\r\n", 400},
		"trailer without colon":          {chunked + "0\r\nabc\r\n\r\n", 400},
		"trailer folded":                 {chunked + "0\r\na: b\r\n c\r\n\r\n", 400},
		"trailer with bare LF":           {chunked + "0\r\na: b\n\r\n", 400},
		"trailers end with LF":           {chunked + "0\r\n\n", 400},
		"trailers too long":              {chunked + "0\r\na: " + strings.Repeat("b", 9000) + "\r\n\r\n", 431},
		"trailers too many":              {chunked + "0\r\n" + strings.Repeat("a: b\r\n", 100) + "\r\n", 431},
		"too many empty lines":           {strings.Repeat("\r\n", 10) + "GET / HTTP/1.1\r\n" + host + "\r\n", 400},
		"upgrade to h2c is not switched": {"GET / HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, addr)
			c.send(tc.send + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, body := c.answer("GET")
			if resp.StatusCode != tc.status || strings.Contains(body, "smuggled") || strings.Contains(body, "HTTP2") {
				t.Fatalf("answer %d %s, want %d", resp.StatusCode, body, tc.status)
			}
			if !resp.Close {
				t.Error("the connection is in doubt and not announced to close")
			}
			if tc.status != 200 && resp.Header.Get("Content-Type") != protocol.ProblemType {
				t.Errorf("Content-Type %q", resp.Header.Get("Content-Type"))
			}
			c.wantClosed()
		})
	}
}

func TestWellFormedRequests(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, dumpHandler)
	const forwarded = "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a\n"
	for name, tc := range map[string]struct{ send, want string }{
		"plain":            {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/\n" + forwarded + "\n"},
		"empty line first": {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/\n" + forwarded + "\n"},
		"query":            {"GET /a?b=/../%zz|? HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/a?b=/../%zz|?\n" + forwarded + "\n"},
		"empty query":      {"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/a?\n" + forwarded + "\n"},
		"normalised":       {"GET /a/./b/../%41%2fc HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/a/A%2Fc\n" + forwarded + "\n"},
		"absolute":         {"GET http://A/x HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET http|A|/x\n" + strings.Replace(forwarded, ": a\n", ": A\n", 1) + "\n"},
		"absolute bare":    {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/\n" + forwarded + "\n"},
		"absolute query":   {"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http|a|/?b\n" + forwarded + "\n"},
		"options star":     {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http|a|*\n" + forwarded + "\n"},
		"options absolute": {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http|a|*\n" + forwarded + "\n"},
		"blanks around":    {"GET / HTTP/1.1\r\nHost:a\r\nX: \t b c \t \r\nY:\r\n\r\n", "GET http|a|/\nX: b c\nY: \n" + forwarded + "\n"},
		"obs-text":         {"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\t\xff\r\n\r\n", "GET http|a|/\nX: \xe9\t\xff\n" + forwarded + "\n"},
		"hop-by-hop": {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine,\r\nKeep-Alive: 5\r\nX-Mine: 1\r\nTE: trailers\r\nProxy-Connection: x\r\nX: y\r\n\r\n",
			"GET http|a|/\nX: y\n" + forwarded + "\n"},
		"forwarded from anybody": {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=8.8.8.8\r\nX-Real-IP: 7.7.7.7\r\nX-Forwarded-Host: evil\r\n\r\n",
			"GET http|a|/\n" + forwarded + "\n"},
		"fixed body":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "POST http|a|/\n" + forwarded + "\nhello"},
		"chunked body": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-T: 1\r\nHost: b\r\n\r\n", "POST http|a|/\n" + forwarded + "\nhello0123456789\nX-T: 1"},
		"ip literal":   {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET http|[::1]:8080|/\n" + strings.Replace(forwarded, ": a\n", ": [::1]:8080\n", 1) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, addr)
			for range 2 { // the connection goes on
				c.send(tc.send)
				resp, body := c.answer("GET")
				if resp.StatusCode != 200 || body != tc.want || resp.Close {
					t.Fatalf("answer %d close=%v\n%q\nwant\n%q", resp.StatusCode, resp.Close, body, tc.want)
				}
			}
		})
	}
}

// TestEverySplit sends pipelined requests cut into two at every offset, through a pipe that hands over each part alone: the
// answers are always the same.
func TestEverySplit(t *testing.T) {
	const stream = "POST /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\na\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n" +
		"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	ln := newPipeListener()
	serveOn(t, ln, ServerConfig{}, dumpHandler)
	var want [3]string
	ask := func(name string, parts ...string) {
		t.Helper()
		c := ln.dial()
		defer c.Close()
		var writer sync.WaitGroup
		writer.Go(func() {
			for _, part := range parts {
				if _, err := io.WriteString(c, part); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
		r := bufio.NewReader(c)
		for i := range want {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%s, answer %d: %v", name, i+1, err)
			}
			body, err := io.ReadAll(resp.Body)
			if want[i] == "" {
				want[i] = string(body)
			}
			if err != nil || string(body) != want[i] || !strings.Contains(want[i], "|/"+strconv.Itoa(i+1)) {
				t.Fatalf("%s, answer %d: %q, %v, want %q", name, i+1, body, err, want[i])
			}
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatalf("%s: not closed: %v", name, err)
		}
		writer.Wait()
	}
	ask("whole", stream)
	for cut := 1; cut < len(stream); cut++ {
		ask("cut at "+strconv.Itoa(cut), stream[:cut], stream[cut:])
	}
	ask("byte by byte", strings.Split(stream, "")...)
}
