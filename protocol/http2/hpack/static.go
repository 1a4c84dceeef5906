package hpack

import "github.com/sluice-gateway/sluice/protocol"

// staticTable is RFC 7541 appendix A, with index 0 left empty.
var staticTable = buildStatic([...][2]string{
	{":authority", ""},
	{":method", "GET"},
	{":method", "POST"},
	{":path", "/"},
	{":path", "/index.html"},
	{":scheme", "http"},
	{":scheme", "https"},
	{":status", "200"},
	{":status", "204"},
	{":status", "206"},
	{":status", "304"},
	{":status", "400"},
	{":status", "404"},
	{":status", "500"},
	{"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"},
	{"accept-language", ""},
	{"accept-ranges", ""},
	{"accept", ""},
	{"access-control-allow-origin", ""},
	{"age", ""},
	{"allow", ""},
	{"authorization", ""},
	{"cache-control", ""},
	{"content-disposition", ""},
	{"content-encoding", ""},
	{"content-language", ""},
	{"content-length", ""},
	{"content-location", ""},
	{"content-range", ""},
	{"content-type", ""},
	{"cookie", ""},
	{"date", ""},
	{"etag", ""},
	{"expect", ""},
	{"expires", ""},
	{"from", ""},
	{"host", ""},
	{"if-match", ""},
	{"if-modified-since", ""},
	{"if-none-match", ""},
	{"if-range", ""},
	{"if-unmodified-since", ""},
	{"last-modified", ""},
	{"link", ""},
	{"location", ""},
	{"max-forwards", ""},
	{"proxy-authenticate", ""},
	{"proxy-authorization", ""},
	{"range", ""},
	{"referer", ""},
	{"refresh", ""},
	{"retry-after", ""},
	{"server", ""},
	{"set-cookie", ""},
	{"strict-transport-security", ""},
	{"transfer-encoding", ""},
	{"user-agent", ""},
	{"vary", ""},
	{"via", ""},
	{"www-authenticate", ""},
})

// staticLast is the highest index of the static table; the dynamic table begins behind it.
const staticLast = 61

func buildStatic(rows [staticLast][2]string) (t [staticLast + 1]Field) {
	for i, row := range rows {
		f := Field{Name: row[0], Value: row[1]}
		f.judgeName()
		t[i+1] = f
	}
	return t
}

// Indexes of the static table that the encoder names.
const (
	indexAuthority   = 1
	indexMethodGet   = 2
	indexMethodPost  = 3
	indexPathRoot    = 4
	indexSchemeHTTP  = 6
	indexSchemeHTTPS = 7
	indexStatus200   = 8
)

// staticByID is the index of the first entry of each known name, 0 if there is none.
var staticByID = buildStaticByID()

func buildStaticByID() (t [256]uint8) {
	for i := staticLast; i > 0; i-- {
		if id := staticTable[i].ID; id != protocol.NameOther {
			t[id] = uint8(i)
		}
	}
	return t
}

// staticByName finds the other names of the table. Pseudo-header fields have ways of their own.
var staticByName = buildStaticByName()

func buildStaticByName() map[string]uint8 {
	t := map[string]uint8{}
	for i := staticLast; i > 0; i-- {
		if f := &staticTable[i]; f.ID == protocol.NameOther && f.Pseudo == PseudoNone {
			t[f.Name] = uint8(i)
		}
	}
	return t
}
