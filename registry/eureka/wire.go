package eureka

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	maxPairs = 1024 // of an instance's metadata
)

// wire is an instance as a server describes it.
type wire struct {
	id, app, host, ip    string
	status, override     string
	vip, secureVIP       string
	action               string
	port, securePort     wirePort
	metadata             []string // keys and values
	amazonID, amazonZone string
	problem              string // the first reason why it cannot be used
}

// wirePort is {"$":8080,"@enabled":"true"}, or the number alone.
type wirePort struct {
	number  int
	enabled bool
}

// decoder reads the answers of /apps and /apps/delta.
type decoder struct {
	*scanner
	in   *interner
	wire wire
	kv   []string
	size int // of the metadata
}

// head is what an answer says of itself.
type head struct {
	hash    string
	hashed  bool // there is a hash, if only an empty one
	applied bool // there is a list of applications, if only an empty one
}

// answer reads one whole document and hands over each instance, which is valid until the next one.
func (d *decoder) answer(add func(*wire)) (head, error) {
	var h head
	found := false
	err := d.object(func(key []byte) error {
		if string(key) != "applications" || found || d.peek() != '{' {
			return d.skip()
		}
		found = true
		return d.applications(&h, add)
	})
	if err == nil {
		err = d.finish()
	}
	switch {
	case err != nil:
		return h, err
	case !found:
		return h, errNotEureka
	case !h.applied || !h.hashed:
		return h, errNoList
	}
	return h, nil
}

func (d *decoder) applications(h *head, add func(*wire)) error {
	return d.object(func(key []byte) error {
		switch string(key) {
		case "apps__hashcode":
			text, ok, err := d.scalar()
			h.hash, h.hashed = d.in.text(text), ok
			return err
		case "application":
			if c := d.peek(); c != '[' && c != '{' {
				return d.skip()
			}
			h.applied = true
			return d.each(func() error { return d.application(add) })
		default:
			return d.skip()
		}
	})
}

func (d *decoder) application(add func(*wire)) error {
	if d.peek() != '{' {
		return d.skip()
	}
	name := ""
	return d.object(func(key []byte) error {
		switch string(key) {
		case "name":
			text, _, err := d.scalar()
			name = d.in.text(text)
			return err
		case "instance":
			if c := d.peek(); c != '[' && c != '{' {
				return d.skip()
			}
			return d.each(func() error {
				if d.peek() != '{' {
					return d.skip()
				}
				if err := d.instance(); err != nil {
					return err
				}
				if d.wire.app == "" {
					d.wire.app = name
				}
				add(&d.wire)
				return nil
			})
		default:
			return d.skip()
		}
	})
}

// instance reads one into d.wire. What is of the wrong kind makes that instance useless, not the answer.
func (d *decoder) instance() error {
	w := &d.wire
	*w = wire{status: "UNKNOWN"}
	d.kv, d.size = d.kv[:0], 0
	err := d.object(func(key []byte) error {
		switch string(key) {
		case "instanceId":
			return d.unique("instanceId", &w.id)
		case "hostName":
			return d.unique("hostName", &w.host)
		case "ipAddr":
			return d.unique("ipAddr", &w.ip)
		case "app":
			return d.repeated("app", &w.app)
		case "status":
			return d.repeated("status", &w.status)
		case "overriddenStatus", "overriddenstatus":
			return d.repeated("overriddenStatus", &w.override)
		case "vipAddress":
			return d.repeated("vipAddress", &w.vip)
		case "secureVipAddress":
			return d.repeated("secureVipAddress", &w.secureVIP)
		case "actionType":
			return d.repeated("actionType", &w.action)
		case "port":
			return d.port("port", &w.port)
		case "securePort":
			return d.port("securePort", &w.securePort)
		case "metadata":
			return d.pairs(d.metadata)
		case "dataCenterInfo":
			return d.pairs(d.center)
		default:
			return d.skip()
		}
	})
	w.metadata = d.kv
	return err
}

func (d *decoder) bad(format string, args ...any) {
	if d.wire.problem == "" {
		d.wire.problem = fmt.Sprintf(format, args...)
	}
}

// field reads a text, however it is written.
func (d *decoder) field(name string) ([]byte, error) {
	text, ok, err := d.scalar()
	if err == nil && !ok {
		d.bad("%s is not a text, or too long", name)
	}
	return text, err
}

// unique reads a text that is of this instance alone.
func (d *decoder) unique(name string, to *string) error {
	text, err := d.field(name)
	if len(text) > 4096 {
		text = text[:4096]
		d.bad("%s is longer than 4096 bytes", name)
	}
	*to = valid(text)
	return err
}

// repeated reads a text that many instances have.
func (d *decoder) repeated(name string, to *string) error {
	text, err := d.field(name)
	*to = d.in.text(text)
	return err
}

func (d *decoder) port(name string, to *wirePort) error {
	if d.peek() != '{' {
		to.enabled = true
		return d.number(name, &to.number)
	}
	return d.object(func(key []byte) error {
		switch string(key) {
		case "$":
			return d.number(name, &to.number)
		case "@enabled":
			text, err := d.field(name)
			to.enabled = strings.EqualFold(string(text), "true")
			return err
		default:
			return d.skip()
		}
	})
}

func (d *decoder) number(name string, to *int) error {
	text, err := d.field(name)
	if err != nil || len(text) == 0 {
		return err
	}
	n, wrong := strconv.Atoi(string(text))
	if wrong != nil {
		d.bad("%s %.20q is not a number", name, text)
	}
	*to = n
	return nil
}

// pairs reads an object, or what else stands in its place when there is nothing in it.
func (d *decoder) pairs(field func(key []byte) error) error {
	if d.peek() != '{' {
		return d.skip()
	}
	return d.object(field)
}

// metadata reads one pair. "@class" is the server's own, which names the Java class of an empty map.
func (d *decoder) metadata(key []byte) error {
	if string(key) == "@class" {
		return d.skip()
	}
	k := d.in.text(key) // before the next read
	if d.peek() == 'n' {
		return d.skip()
	}
	text, ok, err := d.scalar()
	if err != nil {
		return err
	}
	d.size += len(k) + len(text)
	if !ok || d.size > maxText || len(d.kv) >= 2*maxPairs {
		d.bad("metadata of more than %d pairs or %d bytes, or that are not texts", maxPairs, maxText)
		d.kv = d.kv[:0]
		return nil
	}
	d.kv = append(d.kv, k, d.in.text(text))
	return nil
}

// center reads dataCenterInfo, of which Amazon's metadata matter.
func (d *decoder) center(key []byte) error {
	if string(key) != "metadata" || d.peek() != '{' {
		return d.skip()
	}
	return d.object(func(key []byte) error {
		switch string(key) {
		case "availability-zone":
			return d.repeated("availability-zone", &d.wire.amazonZone)
		case "instance-id":
			return d.unique("instance-id", &d.wire.amazonID)
		default:
			return d.skip()
		}
	})
}
