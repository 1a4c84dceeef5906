package types_test

import (
	"errors"
	"fmt"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

const definition = `{
	"canonicalName": "com.example.UserService",
	"methods": [
		{"name": "find", "parameterTypes": ["long"], "returnType": "com.example.User"},
		{"name": "find", "parameterTypes": ["java.lang.String", "int"], "returnType": "com.example.User"},
		{"name": "save", "parameterTypes": ["com.example.User"], "returnType": "void"}],
	"types": [
		{"type": "com.example.User", "properties": {"id": "long", "name": "java.lang.String", "level": "com.example.Level"}},
		{"type": "com.example.Level", "enums": ["NEW", "GOLD"]}]}`

// show prints what a provider would see.
func show(out []byte) {
	json, _, err := hessian.AppendJSON(nil, out, hessian.Options{})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(json))
}

func ExampleEncoder_AppendJSON() {
	d, err := types.ParseDefinition([]byte(definition))
	if err != nil {
		fmt.Println(err)
		return
	}
	user := d.Methods("save")[0].Params[0]

	var e types.Encoder // kept for the next call
	e.Reset(nil)
	out, _, err := e.AppendJSON(nil, user, []byte(`{"id": 7, "name": "Ada", "level": "GOLD"}`))
	fmt.Println(err)
	show(out)

	_, _, err = e.AppendJSON(nil, user, []byte(`{"id": 7.5}`))
	fmt.Println(err)
	_, _, err = e.AppendJSON(nil, user, []byte(`{"level": "SILVER"}`))
	fmt.Println(err)
	_, _, err = e.AppendJSON(nil, user, []byte(`{"class": "com.evil.Gadget"}`))
	fmt.Println(err)
	// Output:
	// <nil>
	// {"id":7,"name":"Ada","level":"GOLD"}
	// $.id: expected long without fraction or exponent, got number 7.5
	// $.level: expected one of NEW, GOLD, got string "SILVER"
	// $.class: expected no key "class", got the key "class"
}

func ExampleEncoder_AppendText() {
	var none *types.Definition // types of the JDK need no definition
	m, _ := none.Signature("report", []string{"java.time.LocalDate", "int"})

	var e types.Encoder
	e.Reset(nil)
	out, err := e.AppendText(nil, m.Params[0], "2026-11-24")
	fmt.Println(err)
	show(out)

	_, err = e.AppendText(nil, m.Params[1], "many")
	var argument *types.ArgumentError
	if errors.As(err, &argument) {
		fmt.Println(argument.Prefix("query.limit"))
	}
	// Output:
	// <nil>
	// "2026-11-24"
	// query.limit: expected int, got string "many"
}

func ExampleChoose() {
	d, _ := types.ParseDefinition([]byte(definition))
	body := []byte(`["Ada", 3]`)
	elements, err := types.Elements(nil, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	kinds := make([]types.Kind, len(elements))
	for i, element := range elements {
		kinds[i] = types.KindOf(element)
	}
	m, err := types.Choose(d.Methods("find"), kinds...)
	fmt.Println(m, err)
	_, err = types.Choose(d.Methods("find"))
	fmt.Println(err)
	// Output:
	// find(java.lang.String,int) <nil>
	// the arguments fit no overload of find: find(long), find(java.lang.String,int)
}

func ExampleDefinition_Signature() {
	d, _ := types.ParseDefinition([]byte(definition))
	m, err := d.Signature("find", []string{"long"})
	fmt.Println(m, m.Return.Name(), err)
	// A method that the definition does not have is believed.
	m, err = d.Signature("merge", []string{"java.util.List<com.example.User>", "[Ljava.lang.String;"})
	fmt.Println(m, err)
	// Output:
	// find(long) com.example.User <nil>
	// merge(java.util.List,java.lang.String[]) <nil>
}

func ExampleMember() {
	value, found, err := types.Member([]byte(`{"user": {"id": 7}, "force": true}`), "user")
	fmt.Println(string(value), found, err)
	// Output:
	// {"id": 7} true <nil>
}
