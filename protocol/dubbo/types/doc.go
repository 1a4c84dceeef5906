// Package types turns JSON and text into the hessian2 arguments of a Dubbo method, led by the method's Java types.
//
// The types come from the FullServiceDefinition that a Java provider publishes, or from a route that states them. They are
// compiled once into a tree of Type nodes. An Encoder then reads the JSON of a request once, checks every value against
// its node while it writes hessian2, and names the path, the expected type and the value seen when something does not
// fit: providers wrap integers silently, turn maps into empty strings and answer other mistakes with a stack trace, so
// whatever can be refused is refused here.
//
// What a generic call ($invoke with generic=true) to Dubbo 2.7 and 3.3 takes, and so what is written:
//
//	Java                                JSON                                   hessian2
//	byte, short, int                    number without fraction, in range      int
//	long                                the same, or a string of one           long
//	float, double                       number, not beyond the range           double
//	boolean                             true, false, "true", "false"           boolean
//	char                                string of one UTF-16 unit              string
//	String, CharSequence                string, of any text                    string
//	enum                                one of its names                       string
//	BigDecimal                          number or string, digit for digit      string
//	BigInteger                          the same without fraction              string
//	java.util.Date                      ms since 1970, RFC 3339, or local      date
//	java.sql.Date, Time, Timestamp      the same                               object; local time without zone: string
//	LocalDate, LocalTime, LocalDateTime ISO 8601 without zone                  string
//	other java.time types, UUID, Locale their usual text                       object of a handle class
//	byte[]                              base64                                 binary
//	arrays, lists, sets                 array                                  untyped list of fixed length
//	maps                                object                                 map, with keys of their type
//	beans                               object of known properties             map without "class"
//	Object, unknown classes             anything                               int, long, double, string, list, map
//	all but primitives                  null                                   N
//
// One key is never forwarded, at any depth: "class". It selects the Java class that the provider instantiates. The encoder
// adds it by itself where a type argument tells a class that the provider cannot know; see Definition.Signature.
package types
