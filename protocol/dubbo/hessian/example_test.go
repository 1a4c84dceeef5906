package hessian_test

import (
	"fmt"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// A reply of a provider: a flag, the value, the attachments. One Decoder reads them in turn.
func ExampleDecoder() {
	body := hessian.AppendInt(nil, 4) // a value, with attachments
	body = hessian.AppendMapStart(body)
	body = hessian.AppendLong(hessian.AppendString(body, "id"), 7)
	body = hessian.AppendString(hessian.AppendString(body, "class"), "com.example.User")
	body = hessian.AppendMapEnd(body)
	body = hessian.AppendMapStart(body)
	body = hessian.AppendString(hessian.AppendString(body, "dubbo"), "2.0.2")
	body = hessian.AppendMapEnd(body)

	var d hessian.Decoder // kept for the next reply
	d.Reset(body, hessian.Options{})
	flag, _ := d.Int()
	json, err := d.AppendJSON(nil)
	fmt.Println(flag, string(json), err)

	if err := d.EnterMap(); err != nil {
		fmt.Println(err)
	}
	for d.Entry() {
		key, _, _ := d.AppendText(nil)
		value, _, err := d.AppendText(nil)
		if err != nil {
			break
		}
		fmt.Printf("%s=%s\n", key, value)
	}
	// Output:
	// 4 {"id":7} <nil>
	// dubbo=2.0.2
}

func ExampleAppendJSON() {
	list := hessian.AppendListLength(nil, 3)
	list = hessian.AppendDouble(list, 1)
	list = hessian.AppendDate(list, 1700000000123)
	list = hessian.AppendLong(list, 9007199254740993)
	json, rest, err := hessian.AppendJSON(nil, list, hessian.Options{UnsafeLongsAsStrings: true})
	fmt.Println(string(json), len(rest), err)
	// Output:
	// [1.0,"2023-11-14T22:13:20.123Z","9007199254740993"] 0 <nil>
}

// The definition of a class goes in front of its first object only.
func ExampleClasses() {
	var c hessian.Classes
	list := hessian.AppendListLength(nil, 2)
	list = hessian.AppendInt(c.AppendObject(list, hessian.YearHandle), 2025)
	first := len(list)
	list = hessian.AppendInt(c.AppendObject(list, hessian.YearHandle), 2026)
	json, _, _ := hessian.AppendJSON(nil, list, hessian.Options{})
	fmt.Println(string(json), first > 50, len(list)-first)
	// Output:
	// ["2025","2026"] true 3
}

// The length of a list may be filled in when its elements have been written.
func ExampleAppendListStart() {
	list, mark := hessian.AppendListStart(nil)
	n := 0
	for _, s := range []string{"a", "b"} {
		list = hessian.AppendString(list, s)
		n++
	}
	hessian.PatchListLength(list, mark, n)
	json, _, _ := hessian.AppendJSON(nil, list, hessian.Options{})
	fmt.Println(string(json))
	// Output:
	// ["a","b"]
}

// A reply that is an exception gives its class and message, and never the stack.
func ExampleDecoder_Exception() {
	body := hessian.AppendString([]byte{'C'}, "com.example.OutOfStock")
	body = hessian.AppendString(hessian.AppendInt(body, 1), "detailMessage")
	body = hessian.AppendString(append(body, 0x60), "no ice left")

	var d hessian.Decoder
	d.Reset(body, hessian.Options{})
	e, err := d.Exception()
	fmt.Printf("%s: %s, %v\n", e.Class, e.Message, err)
	// Output:
	// com.example.OutOfStock: no ice left, <nil>
}
