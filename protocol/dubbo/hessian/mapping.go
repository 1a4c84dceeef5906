package hessian

import "strconv"

// mapping reads a map and appends a JSON object, or a string where the map is what a generic call made of a
// java.time.Instant, a Duration or a UUID by calling their getters.
func (d *Decoder) mapping(dst []byte) ([]byte, error) {
	number, err := d.enter()
	if err != nil {
		return dst, err
	}
	if err = d.mapHead(); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, '{')
	var g getters
	for !d.mapEnd() {
		keyStart := len(dst)
		if keyStart > start+1 {
			dst = append(dst, ',')
		}
		nameStart := len(dst) + 1
		if dst, err = d.key(dst); err != nil {
			return dst, err
		}
		if d.pos >= len(d.in) {
			return dst, d.fail(ErrTruncated)
		}
		get := getterOf(dst[nameStart : len(dst)-1])
		if get == getClass {
			if err = d.class(&g); err != nil {
				return dst, err
			}
			if !d.opts.KeepClass {
				dst = dst[:keyStart]
				continue
			}
		}
		dst = append(dst, ':')
		valueStart := len(dst)
		if dst, err = d.value(dst); err != nil {
			return dst, err
		}
		g.see(get, dst[valueStart:])
	}
	d.leave(number)
	if out, ok := g.fold(dst[:start]); ok {
		return out, nil
	}
	return append(dst, '}'), nil
}

// getter is a key by which a value of the JDK can be known.
type getter uint8

const (
	otherGetter getter = 0
	getEpoch    getter = 1 << iota
	getSeconds
	getNano
	getMost
	getLeast
	getClass
)

func getterOf(name []byte) getter {
	switch string(name) {
	case "class":
		return getClass
	case "epochSecond":
		return getEpoch
	case "seconds":
		return getSeconds
	case "nano":
		return getNano
	case "mostSignificantBits":
		return getMost
	case "leastSignificantBits":
		return getLeast
	}
	return otherGetter
}

// getters watches the entries of a map.
type getters struct {
	seen        getter
	others      bool
	time        temporal
	most, least int64
	class       foldedClass
}

// foldedClass is what a map's key "class" says.
type foldedClass uint8

const (
	noClass foldedClass = iota
	instantClass
	durationClass
	uuidMapClass
	someClass
)

// see is told of an entry and the JSON of its value.
func (g *getters) see(get getter, value []byte) {
	if get == getClass {
		return
	}
	if len(value) > 2 && value[0] == '"' { // a long by option
		value = value[1 : len(value)-1]
	}
	n := int64(0)
	if get != otherGetter {
		var err error
		if n, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			get = otherGetter
		}
	}
	g.seen |= get
	switch get {
	case otherGetter:
		g.others = true
	case getEpoch, getSeconds:
		g.time.seconds = n
	case getNano:
		g.time.nano = n
	case getMost:
		g.most = n
	case getLeast:
		g.least = n
	}
}

// fold appends the text of what the map was, if it was one of these. An Instant is known even without its class, which a
// provider may be told to leave out: nothing else has just these two getters.
func (g *getters) fold(dst []byte) ([]byte, bool) {
	time := g.time.nano >= 0 && g.time.nano <= 999_999_999
	switch {
	case time && g.seen == getEpoch|getNano && !g.others && (g.class == noClass || g.class == instantClass):
		return append(g.time.append(append(dst, '"'), InstantHandle), '"'), true
	case time && g.seen == getSeconds|getNano && g.class == durationClass: // has more, such as "negative"
		return append(g.time.append(append(dst, '"'), DurationHandle), '"'), true
	case g.seen&(getMost|getLeast) == getMost|getLeast && g.class == uuidMapClass:
		return appendUUID(dst, g.most, g.least), true
	}
	return dst, false
}

// class looks at the value of a map's key "class", and passes over it unless it is to be kept.
func (d *Decoder) class(g *getters) error {
	g.class = someClass
	if d.Kind() != String {
		if d.opts.KeepClass {
			return nil
		}
		return d.Skip()
	}
	at := d.pos
	text, err := d.appendString(d.scratch[:0], false)
	d.scratch = text
	switch string(text) {
	case "java.time.Instant":
		g.class = instantClass
	case "java.time.Duration":
		g.class = durationClass
	case "java.util.UUID":
		g.class = uuidMapClass
	}
	if d.opts.KeepClass {
		d.pos = at
	}
	return err
}
